package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/observe"
)

// A response that isn't stored is the same as without the cache, also if there is no such page or route.
func testMiss(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	c.status(c.same("GET", "/fresh/1"), "fwd=uri-miss; stored")
	c.ran(1)
	c.status(c.same("GET", "/never/1"), "fwd=uri-miss; detail=no-store")
	c.status(c.same("GET", "/never/1"), "fwd=uri-miss") // the cache may not have seen the response, so that there is no detail
	c.ran(3)
	c.same("HEAD", "/fresh/2")
	c.same("POST", "/fresh/2")
	c.ran(5)
	for range 2 {
		c.same("GET", "/none")
	}
}

// A hit is the same as the miss, and the handler doesn't run.
func testHit(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	first := c.same("GET", "/fresh/1")
	for range 2 {
		hit := c.same("GET", "/fresh/1")
		c.status(hit, "; hit")
		c.alike("a hit", hit, first)
		if hit.header.Get("ETag") != first.header.Get("ETag") || hit.header.Get("Content-Length") != first.header.Get("Content-Length") {
			c.Errorf("a hit has %v, the miss had %v", hit.header, first.header)
		}
	}
	c.status(c.same("HEAD", "/fresh/1"), "; hit")
	c.ran(1)
	c.same("GET", "/fresh/2")
	c.same("GET", "/fresh/2?page=2")
	c.ran(3)
}

// Routers reuse the memory of a request. A background run must not read it, nor store its response under another URL.
func testBehind(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	const clients, requests, pages = 20, 12, 40
	var hits atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range requests {
				if i%4 == 3 {
					if a := get(t, c.client, c.url+"/private/1", "X-User", fmt.Sprint("user ", n)); a.body != fmt.Sprint("user ", n) {
						t.Errorf("the answer to user %d is %q", n, a.body)
					}
					continue
				}
				id := fmt.Sprint((n*7 + i*13) % pages)
				a := get(t, c.client, c.url+"/behind/"+id)
				status := a.header.Get("Cache-Status")
				if !strings.HasPrefix(a.body, "behind "+id+",") || a.header.Get("X-Page") != id || strings.Contains(status, "foreground") {
					t.Errorf("the answer for %s is %q, %v", id, a.body, a.header)
				}
				if strings.Contains(status, "; hit") {
					hits.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if hits.Load() == 0 {
		t.Error("no hits")
	}
	first := get(t, c.client, c.url+"/behind/1").body
	observe.Until(t, "a new response", func() bool { return get(t, c.client, c.url+"/behind/1").body != first })
}

// The cache answers the client's conditional requests, and serves the stored response after the handler's 304.
func testNotModified(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	tag := c.same("GET", "/fresh/1").header.Get("ETag")
	if a := c.send("GET", "/fresh/1", "If-None-Match", tag); a.status != http.StatusNotModified || a.body != "" || a.header.Get("ETag") != tag {
		t.Errorf("%d, %v, %q", a.status, a.header, a.body)
	}
	c.same("GET", "/fresh/1", "If-None-Match", `"other"`)
	c.ran(1)
	// The first response is a 304, too, for a client that has a copy.
	c.same("GET", "/tagged/1", "If-None-Match", `"1"`)
	c.status(c.same("GET", "/tagged/1"), "fwd-status=304")
	c.status(c.same("GET", "/tagged/1", "If-None-Match", `"1"`), "fwd-status=304")
	c.ran(4)
	c.same("GET", "/tagged/2")
	c.status(c.same("GET", "/tagged/2"), "fwd-status=304")
	c.ran(6)
}

// A private response isn't stored, and not served to others.
func testPrivate(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	for i := range 6 {
		c.status(c.same("GET", "/private/1", "X-User", fmt.Sprint("user ", i%3)), "fwd=uri-miss")
	}
	c.ran(6)
}

// A change through the application, and each way to purge, removes a page.
func testPurge(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/fresh/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, purge := range []func() error{
		func() error { c.same("POST", "/fresh/1"); c.app.runs.Add(-1); return nil },
		func() error { return c.cache.Purge(t.Context(), r) },
		func() error { return c.cache.PurgeTags(t.Context(), "pages") },
		func() error { return c.cache.Clear(t.Context()) },
		func() error { return c.cache.SoftPurge(t.Context(), r) },
		func() error { return c.cache.SoftPurgeTags(t.Context(), "pages") },
		func() error { return c.cache.SoftClear(t.Context()) },
	} {
		c.same("GET", "/fresh/1")
		c.status(c.same("GET", "/fresh/1"), "; hit")
		c.ran(int64(i) + 1)
		if err := purge(); err != nil {
			t.Fatal(err)
		}
	}
	c.same("GET", "/fresh/1")
	c.ran(8)
}

// A panic has the same effect as without the cache, except that a stale response may be served instead. Nothing is stored.
func testPanic(t *testing.T, m mounting) {
	for _, r := range m.recovery {
		t.Run("recovered "+string(r), func(t *testing.T) {
			c := newCell(t, m, r)
			c.app.fails.Store(true)
			c.uncached.fails.Store(true)
			got, failed := send(t, c.client, "GET", c.url+"/failing/1")
			want, fails := send(t, c.client, "GET", c.plain+"/failing/1")
			if (failed == nil) != (fails == nil) {
				t.Errorf("%v, without the cache %v", failed, fails)
			} else if failed == nil {
				c.alike("a panic", got, want)
			}
			for _, half := range []string{"/half/1", "/broken/1"} {
				_, _ = send(t, c.client, "GET", c.url+half)
			}

			c.app.fails.Store(false)
			c.uncached.fails.Store(false)
			ran := c.app.runs.Load() // clients retry a GET that gets no response
			c.same("GET", "/failing/1")
			for _, half := range []string{"/half/1", "/broken/1"} {
				c.status(c.same("GET", half), "stored")
				c.status(c.same("GET", half), "; hit")
			}
			c.ran(ran + 3)

			c.app.fails.Store(true)
			a := c.same("GET", "/failing/1")
			c.status(a, "stale-if-error")
		})
	}
}

// A stream arrives part by part. It is stored when it has ended, except on fasthttp.
func testStream(t *testing.T, m mounting) {
	c := newCell(t, m, nowhereIn(m))
	c.app.gate = make(chan struct{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/stream/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	open := time.AfterFunc(10*time.Second, func() { t.Error("the first part isn't sent"); close(c.app.gate) })
	res, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	first := make([]byte, len("one "))
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	if open.Stop() {
		close(c.app.gate)
	}
	rest, err := io.ReadAll(res.Body)
	if all := string(first) + string(rest); all != "one two three" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	runs, want := int64(1), "; hit"
	if slices.Contains([]string{"Fiber", "Fiber v2", "fasthttp"}, m.framework) { // fasthttp reads a stream after all handlers have returned
		runs, want = 2, "fwd=uri-miss"
	}
	c.status(c.same("GET", "/stream/1"), want)
	c.ran(runs)
}

// nowhereIn returns no recovery if the server survives a panic, otherwise the mounting's first one.
func nowhereIn(m mounting) recovery { return m.recovery[0] }
