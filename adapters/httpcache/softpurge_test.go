package httpcache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// softPurges make what is stored for /a stale, which has the tag "thing".
var softPurges = map[string]func(ctx context.Context, c *httpcache.Cache) error{
	"SoftPurge": func(ctx context.Context, c *httpcache.Cache) error {
		return c.SoftPurge(ctx, httptest.NewRequest("POST", "/a", nil))
	},
	"SoftPurgeTags": func(ctx context.Context, c *httpcache.Cache) error { return c.SoftPurgeTags(ctx, "thing") },
	"SoftClear":     func(ctx context.Context, c *httpcache.Cache) error { return c.SoftClear(ctx) },
}

// purgeSoftly runs the test for each soft purge, in one process alone.
func purgeSoftly(t *testing.T, test func(t *testing.T, purge func(c *httpcache.Cache))) {
	for name, purge := range softPurges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, func(c *httpcache.Cache) {
					t.Helper()
					if err := purge(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				})
			})
		})
	}
}

// What is purged softly is served at once within stale-while-revalidate, and replaced by one run behind.
func TestSoftPurgeServesStaleAndRenews(t *testing.T) {
	purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
		gate := make(chan struct{}, 1)
		o := versions("Cache-Control", "max-age=60, stale-while-revalidate=30", "Cache-Tag", "thing")
		fast := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				<-gate
			}
			fast(w, r)
		}
		c := newCache(t, httpcache.Options{})
		h := c.Handler(o)
		get(h, "/a")
		time.Sleep(10 * time.Second)
		for n := int64(1); n <= 3; n++ {
			expect(t, get(h, "/a"), 200, fmt.Sprintf("http; hit; ttl=%d", 50+10*min(1, n-1)), fmt.Sprint("version ", n))
			purge(c)
			purge(c)
			for range 3 { // none of which waits for the run
				w := get(h, "/a")
				expect(t, w, 200, "http; hit; ttl=0", fmt.Sprint("version ", n))
				if age := w.Header().Get("Age"); n == 1 && age != "10" {
					t.Errorf("Age: %s", age)
				}
			}
			synctest.Wait()
			o.expectRuns(t, n+1)
			gate <- struct{}{}
			synctest.Wait()
		}
		if s := c.Stats(); s.Stale != 9 {
			t.Errorf("%d stale answers, want 9", s.Stale)
		}
		purge(c)
		time.Sleep(91 * time.Second) // past its freshness and stale-while-revalidate
		gate <- struct{}{}
		expect(t, get(h, "/a"), 200, stored, "version 5")
	})
}

// A response with a validator is validated, and a 304 makes it fresh again.
func TestSoftPurgeValidates(t *testing.T) {
	purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
		version := "1"
		o := &origin{}
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			tag := `"` + version + `"`
			setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Etag", tag, "Cache-Tag", "thing"})
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "version ", version)
		}
		c := newCache(t, httpcache.Options{})
		h := c.Handler(o)
		get(h, "/a")
		purge(c)
		for range 3 {
			expect(t, get(h, "/a", "Cache-Control", "only-if-cached"), 504, "http; detail=only-if-cached", "")
		}
		expect(t, get(h, "/a"), 200, "http; fwd=stale; fwd-status=304; stored", "version 1")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "version 1")
		o.expectRuns(t, 2)
		purge(c)
		version = "2"
		expect(t, get(h, "/a"), 200, "http; fwd=stale; stored", "version 2")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "version 2")
		purge(c)
		expect(t, get(h, "/a", "Cache-Control", "max-stale=10"), 200, "http; hit; ttl=0", "version 2")
		o.expectRuns(t, 3)
	})
}

// What a response's terms, or its lack of them, say about stale ones holds for one that was purged softly.
func TestSoftPurgeByTerms(t *testing.T) {
	for name, c := range map[string]struct {
		control string
		fails   bool
		status  string
		body    string
	}{
		"nothing":                    {"max-age=60", false, "http; fwd=uri-miss; stored", "version 2"},
		"nothing, and it fails":      {"max-age=60", true, "http; fwd=uri-miss", "down"},
		"stale-if-error":             {"max-age=60, stale-if-error=30", false, "http; fwd=stale; stored", "version 2"},
		"stale-if-error, it fails":   {"max-age=60, stale-if-error=30", true, "http; fwd=stale; fwd-status=503; detail=stale-if-error", "version 1"},
		"must-revalidate":            {"max-age=60, must-revalidate, stale-while-revalidate=30, stale-if-error=30", false, "http; fwd=stale; stored", "version 2"},
		"must-revalidate, it fails":  {"max-age=60, must-revalidate, stale-while-revalidate=30, stale-if-error=30", true, "http; fwd=stale", "down"},
		"proxy-revalidate, it fails": {"max-age=60, proxy-revalidate, stale-if-error=30", true, "http; fwd=stale", "down"},
		"s-maxage, it fails":         {"s-maxage=60, stale-if-error=30", true, "http; fwd=stale", "down"},
	} {
		t.Run(name, func(t *testing.T) {
			purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
				o := versions("Cache-Control", c.control, "Cache-Tag", "thing")
				if strings.Contains(c.status, "stale") {
					o = versions("Cache-Control", c.control, "Cache-Tag", "thing", "Etag", `"x"`) // or it isn't kept
				}
				versioned := o.handler
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					if c.fails && o.runs.Load() > 1 {
						w.WriteHeader(http.StatusServiceUnavailable)
						fmt.Fprint(w, "down")
						return
					}
					versioned(w, r)
				}
				cache := newCache(t, httpcache.Options{})
				h := cache.Handler(o)
				get(h, "/a")
				purge(cache)
				code := 200
				if c.body == "down" {
					code = 503
				}
				expect(t, get(h, "/a"), code, c.status, c.body)
				o.expectRuns(t, 2)
			})
		})
	}
}

// Requests that come together after a soft purge share one run, as those of a miss do.
func TestSoftPurgeAndACrowd(t *testing.T) {
	purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
		gate := make(chan struct{})
		o := versions("Cache-Control", "max-age=60, stale-if-error=30", "Cache-Tag", "thing")
		versioned := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				<-gate
			}
			versioned(w, r)
		}
		c := newCache(t, httpcache.Options{})
		h := c.Handler(o)
		get(h, "/a")
		purge(c)
		answers := concurrently(10, h, "/a")
		synctest.Wait()
		close(gate)
		for range 10 {
			if w := <-answers; w.Body.String() != "version 2" {
				t.Errorf("%v, %q", w.Header(), w.Body)
			}
		}
		o.expectRuns(t, 2)
	})
}

// After a soft purge of much, so many runs behind are made at a time, and the rest of the responses is served stale meanwhile.
func TestRunsBehindAfterASoftPurgeAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		var slow atomic.Bool
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			if slow.Load() {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(10 * time.Second)
				running.Add(-1)
			}
			w.Header().Set("Cache-Control", "max-age=600, stale-while-revalidate=600")
			fmt.Fprint(w, "body")
		}}
		c := newCache(t, httpcache.Options{})
		h := c.Handler(o)
		const n = 100
		all := func(status string) {
			t.Helper()
			for i := range n {
				expect(t, get(h, fmt.Sprint("/", i)), 200, status, "body")
			}
			synctest.Wait()
		}
		all(stored)
		if err := c.SoftClear(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow.Store(true)
		all("http; hit; ttl=0")
		if got := running.Load(); got != 64 {
			t.Errorf("%d runs at a time", got)
		}
		time.Sleep(11 * time.Second)
		for i := range n {
			get(h, fmt.Sprint("/", i))
		}
		time.Sleep(11 * time.Second)
		if o.expectRuns(t, 2*n); most.Load() > 64 {
			t.Errorf("%d runs at a time", most.Load())
		}
	})
}

func ExampleCache_SoftPurgeTags() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute, StaleIfError: time.Hour})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	down := false
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Cache-Tag", "user-7, users")
		fmt.Fprint(w, "Ada")
	}))
	fetch := func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/user/7", nil))
		fmt.Println(w.Code, w.Body, w.Header().Get("Cache-Status"))
	}
	fetch()
	if err := cache.SoftPurgeTags(context.Background(), "users"); err != nil {
		panic(err)
	}
	down = true
	fetch() // the handler is asked, and where it fails the response still serves
	// Output:
	// 200 Ada http; fwd=uri-miss; stored
	// 200 Ada http; fwd=stale; fwd-status=502; detail=stale-if-error
}
