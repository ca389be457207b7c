package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// connect makes a second tier, as another process would, that waits for Redis as long as a busy machine may take.
func connect(t testing.TB, s *redistest.Server) *tiered.Redis {
	t.Helper()
	return connectWithin(t, s, 5*time.Second)
}

func connectWithin(t testing.TB, s *redistest.Server, timeout time.Duration) *tiered.Redis {
	t.Helper()
	r, err := tiered.NewRedis(s.Client(t), tiered.RedisOptions{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestSecondProcessHits(t *testing.T) {
	server := redistest.Start(t)
	o := text("hello", "Content-Type", "text/plain", "X-Any", "1", "X-Any", "2", "Cache-Control", "max-age=60", "Age", "20")
	first := newCache(t, httpcache.Options{Redis: connect(t, server)})
	second := newCache(t, httpcache.Options{Redis: connect(t, server)})
	expect(t, get(first.Handler(o), "/a?x=1"), 200, stored, "hello")
	for _, c := range []*httpcache.Cache{second, second, first} {
		w := get(c.Handler(o), "/a?x=1")
		if s := w.Header().Get("Cache-Status"); !strings.HasPrefix(s, "http; hit; ttl=3") || w.Body.String() != "hello" {
			t.Errorf("%s, %q", s, w.Body)
		}
		if got := strings.Join(w.Header()["X-Any"], "|"); got != "1|2" || !strings.HasPrefix(w.Header().Get("Age"), "2") {
			t.Errorf("%v", w.Header())
		}
	}
	o.expectRuns(t, 1)
	if s := second.Stats().Tiers; s.RemoteHits != 1 || s.LocalHits != 1 {
		t.Errorf("%+v", s)
	}
	if w := get(second.Handler(o), "/a?x=1", "If-None-Match", get(first.Handler(o), "/a?x=1").Header().Get("ETag")); w.Code != 304 {
		t.Errorf("%d for the other process's ETag", w.Code)
	}
}

// What somebody else put under a key is not an answer, and doesn't keep the handler from giving one.
func TestForeignValues(t *testing.T) {
	server := redistest.Start(t)
	o := text("hello")
	h := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)}).Handler(o)
	values := []string{
		"", "x", "\xc0", "\x80", "\x90", "{}", "\x81\xa1s\x00", "\x82\xa1s\xcc\xc8\xa1h\x91\xa1x", "\x82\xa1s\xcc\xc8\xa1l\xff",
	}
	for i, value := range values {
		target := fmt.Sprint("/", i)
		server.Do("SET", "tc:http:get://example.com"+target+":", value)
		for range 2 {
			if w := get(h, target); w.Code != 200 || w.Body.String() != "hello" {
				t.Errorf("%q: %d, %v, %q", value, w.Code, w.Header(), w.Body)
			}
		}
		o.expectRuns(t, int64(i+1))
	}
}

func TestPurgeReachesRedis(t *testing.T) {
	server := redistest.Start(t)
	o := text("hello")
	c := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
	get(c.Handler(o), "/a")
	if err := c.Purge(t.Context(), request("GET", "/a")); err != nil {
		t.Fatal(err)
	}
	third := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
	expect(t, get(third.Handler(o), "/a"), 200, stored, "hello")
}

func TestRedisDown(t *testing.T) {
	server := redistest.Start(t)
	o := text("hello")
	c := newCache(t, httpcache.Options{TTL: minute, Redis: connectWithin(t, server, 20*time.Millisecond)})
	h := c.Handler(o)
	get(h, "/a")
	server.Kill()
	expect(t, get(h, "/b"), 200, stored, "hello")
	for _, target := range []string{"/a", "/b"} {
		if s := get(h, target).Header().Get("Cache-Status"); !strings.HasPrefix(s, "http; hit") {
			t.Errorf("%s: %s", target, s)
		}
	}
	o.expectRuns(t, 2)
	err := c.Purge(t.Context(), request("GET", "/a"))
	if err == nil || !strings.HasPrefix(err.Error(), "httpcache: ") {
		t.Errorf("Purge: %v", err)
	}
	expect(t, get(h, "/a"), 200, stored, "hello")
	expect(t, serve(h, request(http.MethodPost, "/a")), 200, "http; fwd=method", "hello")
}
