package httpcache_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/codec"
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
	t.Parallel()
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
	// The second's local tier may hear of the first's store only after the first hit, and then asks Redis once more.
	if s := second.Stats().Tiers; s.RemoteHits == 0 || s.RemoteHits+s.LocalHits != 2 {
		t.Errorf("%+v", s)
	}
	if w := get(second.Handler(o), "/a?x=1", "If-None-Match", get(first.Handler(o), "/a?x=1").Header().Get("ETag")); w.Code != 304 {
		t.Errorf("%d for the other process's ETag", w.Code)
	}
}

// Hits make their keys in the same memory, one after the other. Each tier keeps the key of its own response.
func TestKeysOfHitsAreNotKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		_, _ = w.Write([]byte(r.URL.RawQuery))
	}}
	first := newCache(t, httpcache.Options{Redis: connect(t, server)})
	second := newCache(t, httpcache.Options{Redis: connect(t, server)})
	const responses = 20
	target := func(n int) (target, body string) { return fmt.Sprintf("/?n=%02d", n), fmt.Sprintf("n=%02d", n) }
	for n := range responses {
		url, body := target(n)
		expect(t, get(first.Handler(o), url), 200, stored, body)
	}
	for range 3 { // at first from Redis
		for n := range responses {
			url, body := target(n)
			if w := get(second.Handler(o), url); w.Body.String() != body || !strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
				t.Errorf("%s: %q, %v", url, w.Body, w.Header())
			}
		}
	}
	o.expectRuns(t, responses)
}

// With SealKeys Redis has nothing to read of a response, and the next process still serves it.
func TestSealedResponses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := text("the secret", "Cache-Control", "max-age=60", "X-Secret", "another secret")
	keys := []codec.SealKey{{ID: "1", Secret: make([]byte, 32)}}
	first := newCache(t, httpcache.Options{Redis: connect(t, server), SealKeys: keys})
	expect(t, get(first.Handler(o), "/a"), 200, stored, "the secret")
	for _, key := range server.Do("KEYS", "tc:http:*").([]any) {
		if v, _ := server.Do("GET", key).(string); strings.Contains(v, "secret") {
			t.Errorf("%s: %q", key, v)
		}
	}
	second := newCache(t, httpcache.Options{Redis: connect(t, server), SealKeys: keys})
	if w := get(second.Handler(o), "/a"); w.Body.String() != "the secret" || w.Header().Get("X-Secret") != "another secret" {
		t.Errorf("%q, %v", w.Body, w.Header())
	}
	o.expectRuns(t, 1)
}

// What somebody else put under a key is not an answer, and doesn't keep the handler from giving one.
func TestForeignValues(t *testing.T) {
	t.Parallel()
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

// Nor is what looks like a response, but would break the answer's framing, or speaks for another client.
func TestForeignResponses(t *testing.T) {
	t.Parallel()
	type response struct {
		Status   int           `msgpack:"s"`
		Header   []string      `msgpack:"h"`
		Body     []byte        `msgpack:"b"`
		Age      time.Duration `msgpack:"a"`
		Lifetime time.Duration `msgpack:"l"`
	}
	server := redistest.Start(t)
	h := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)}).Handler(text("hello"))
	plant := func(target string, r response) {
		r.Status, r.Body = 200, []byte("planted")
		data, err := codec.Msgpack.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		server.Do("SET", "tc:http:get://example.com"+target+":", string(data))
	}
	plant("/good", response{Header: []string{"X-Any", "1"}, Lifetime: minute})
	if w := get(h, "/good"); w.Body.String() != "planted" {
		t.Errorf("%v, %q", w.Header(), w.Body)
	}
	for i, name := range []string{
		"Content-Length", "content-length", "Transfer-Encoding", "Connection", "Age", "", "X Any", "X-Any\r\nSet-Cookie", "X:",
	} {
		target := fmt.Sprint("/", i)
		plant(target, response{Header: []string{name, "1"}, Lifetime: minute})
		expect(t, get(h, target), 200, stored, "hello")
	}
	plant("/stale", response{Age: minute, Lifetime: minute})
	expect(t, get(h, "/stale"), 200, "http; fwd=stale; stored", "hello")
	for target, r := range map[string]response{
		"/negative": {Age: -1, Lifetime: minute},
		"/odd":      {Header: []string{"X-Any"}, Lifetime: minute},
	} {
		plant(target, r)
		expect(t, get(h, target), 200, stored, "hello")
	}
}

// That a response can't be stored is known to the other processes, and what is stored all the same reaches them.
func TestRefusalReachesRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
	second := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
	expect(t, get(first.Handler(text("hello", "Cache-Control", "private")), "/a"), 200, missed, "hello")
	const key = "tc:http:get://example.com/a:"
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		if there, _ := server.Do("GET", key).(string); there != "" && !strings.HasPrefix(there, "\xc1tl") { // which is a lease
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is in Redis")
		}
	}
	o := text("hello")
	expect(t, get(second.Handler(o), "/a"), 200, stored, "hello")
	if s := second.Stats().Tiers; s.RemoteHits == 0 {
		t.Errorf("%+v", s)
	}
	third := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
	if w := get(third.Handler(o), "/a"); !strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
		t.Errorf("%v", w.Header())
	}
}

func TestPurgeReachesRedis(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	server := redistest.Start(t)
	o := text("hello")
	first := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
	get(first.Handler(o), "/a") // before c can hear of it, which would have to read it again
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
