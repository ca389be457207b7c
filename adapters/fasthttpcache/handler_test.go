package fasthttpcache_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps the Date field in a goroutine that never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// A server's pool notices up to ten seconds later that it was stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

func newCache(t *testing.T, o httpcache.Options) *httpcache.Cache {
	t.Helper()
	c, err := httpcache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// serve serves on loopback until the test ends, and returns the URL.
func serve(t *testing.T, server *fasthttp.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// get returns the body and the Cache-Status.
func get(t *testing.T, url string, fields ...string) (body, status string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res.Header.Get("Cache-Status")
}

// A response is for handlers of fasthttp and of net/http alike, and what handlers around the cache do to a hit's body stays theirs.
func TestHit(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: time.Minute})
	var runs atomic.Int64
	inner := func(ctx *fasthttp.RequestCtx) { fmt.Fprint(ctx, "run ", runs.Add(1)) }
	server := &fasthttp.Server{}
	cached := fasthttpcache.New(cache, server)(inner)
	server.Handler = func(ctx *fasthttp.RequestCtx) {
		if cached(ctx); len(ctx.Request.Header.Peek("X-Loud")) > 0 {
			body := ctx.Response.Body()
			copy(body, bytes.ToUpper(body))
		}
	}
	url := serve(t, server)
	for i, want := range []string{"http; fwd=uri-miss; stored", "http; hit; ttl=59", "http; hit; ttl=59"} {
		body, status := get(t, url+"/a?b=c", "X-Loud", "1")
		if status != want || body != "RUN 1" {
			t.Errorf("%d: %q, %q", i, body, status)
		}
	}
	if body, _ := get(t, url+"/a?b=c"); body != "run 1" {
		t.Errorf("%q", body)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/a?b=c", nil)
	if err := cache.Purge(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if body, _ := get(t, url+"/a?b=c"); body != "run 2" {
		t.Errorf("after the purge: %q", body)
	}
}

type userKey struct{}

// Handlers around the cache pass data to the key in the context, which a background run has, too, if it begins at the server.
func TestContext(t *testing.T) {
	cache := newCache(t, httpcache.Options{User: func(r *http.Request) string {
		user, _ := r.Context().Value(userKey{}).(string)
		return user
	}})
	var runs atomic.Int64
	server := &fasthttp.Server{}
	cached := fasthttpcache.New(cache, server)(func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("Cache-Control", "private, max-age=0, stale-while-revalidate=60")
		fmt.Fprint(ctx, fasthttpcache.Context(ctx).Value(userKey{}), " ", runs.Add(1))
	})
	server.Handler = func(ctx *fasthttp.RequestCtx) {
		if fasthttpcache.Context(ctx) != context.Background() {
			t.Error("a context that nobody has set")
		}
		fasthttpcache.SetContext(ctx, context.WithValue(context.Background(), userKey{}, string(ctx.Request.Header.Peek("X-User"))))
		cached(ctx)
	}
	url := serve(t, server)
	for i, user := range []string{"ada", "bob"} {
		if body, _ := get(t, url+"/", "X-User", user); body != fmt.Sprint(user, " ", i+1) {
			t.Errorf("%q for %s", body, user)
		}
	}
	observe.Until(t, "ada's page is renewed", func() bool {
		body, _ := get(t, url+"/", "X-User", "ada")
		return body != "ada 1"
	})
	if body, _ := get(t, url+"/", "X-User", "ada"); !strings.HasPrefix(body, "ada ") {
		t.Errorf("%q", body)
	}
}

// Without a server a background run begins at the cache.
func TestBackgroundWithoutServer(t *testing.T) {
	cache := newCache(t, httpcache.Options{})
	var outer, inner atomic.Int64
	cached := fasthttpcache.New(cache, nil)(func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		fmt.Fprint(ctx, inner.Add(1))
	})
	url := serve(t, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		outer.Add(1)
		cached(ctx)
	}})
	requests := int64(0)
	observe.Until(t, "the page is renewed", func() bool {
		requests++
		body, _ := get(t, url+"/")
		return body != "1"
	})
	if n := outer.Load(); n != requests {
		t.Errorf("the outer handler ran %d times for %d requests", n, requests)
	}
}

// A hit allocates its key.
func TestHitAllocates(t *testing.T) {
	h := fasthttpcache.New(newCache(t, httpcache.Options{TTL: time.Hour}), nil)(func(ctx *fasthttp.RequestCtx) { _, _ = ctx.WriteString("hello") })
	var ctx fasthttp.RequestCtx
	if err := ctx.Request.Read(bufio.NewReader(strings.NewReader("GET /users?a=b HTTP/1.1\r\nHost: a.example\r\n\r\n"))); err != nil {
		t.Fatal(err)
	}
	hit := func() {
		ctx.Response.Header.Reset()
		h(&ctx)
	}
	hit()
	if n := testing.AllocsPerRun(10_000, hit); n > 1 && !raceDetector() {
		t.Errorf("%v allocations", n)
	}
	if status := string(ctx.Response.Header.Peek("Cache-Status")); !strings.HasPrefix(status, "http; hit") {
		t.Error(status)
	}
}
