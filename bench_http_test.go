package tiercache_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// The HTTP adapter on net/http, beside bare handlers that write the same header fields and bytes. Fiber's benchmarks
// are in adapters/fibercache, and make bench-http has servers side by side.

const usersPath = "/api/v1/users?skip=0&limit=20"

// usersHandler answers with a page of n users, encoded each time; 20 are 3 KB.
func usersHandler(n int, vary ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		us := make([]*user, n)
		for id := range us {
			us[id] = newUser(id)
		}
		body, err := json.Marshal(us)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		for _, name := range vary {
			h.Add("Vary", name)
		}
		_, _ = w.Write(body) // a client that went away is no concern of a handler's
	}
}

// replay answers any request with the header fields and body of a recorded response.
func replay(recorded *httptest.ResponseRecorder) http.HandlerFunc {
	header, body := recorded.Header(), recorded.Body.Bytes()
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(recorded.Code)
		if len(body) > 0 {
			_, _ = w.Write(body)
		}
	}
}

func newHTTPCache(b *testing.B, o httpcache.Options) *httpcache.Cache {
	b.Helper()
	c, err := httpcache.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	return c
}

// get makes the request that the benchmarks send, as a server receives it; fields are names and values.
func get(b *testing.B, fields ...string) *http.Request {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, usersPath, nil)
	r.Host = "api.example"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

// stored returns the handler behind a cache that has stored its response, and the cache's response to the request.
func stored(b *testing.B, next http.Handler, r *http.Request) (http.Handler, *httptest.ResponseRecorder) {
	b.Helper()
	var runs atomic.Int64
	h := newHTTPCache(b, httpcache.Options{TTL: time.Hour}).Handler(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs.Add(1)
			next.ServeHTTP(w, r)
		}))
	plain := r.Clone(r.Context())
	plain.Header.Del("Range")
	plain.Header.Del("If-None-Match")
	h.ServeHTTP(httptest.NewRecorder(), plain)
	recorded := httptest.NewRecorder()
	h.ServeHTTP(recorded, r)
	b.Cleanup(func() {
		if n := runs.Load(); n != 1 {
			b.Errorf("the handler ran %d times: want 1, and hits", n)
		}
	})
	return h, recorded
}

// compareHit runs a stored response beside a bare handler: as a function, so that allocations and copies show, and over
// a connection.
func compareHit(b *testing.B, next http.Handler, r *http.Request, status int) {
	cached, recorded := stored(b, next, r)
	if recorded.Code != status {
		b.Fatalf("status %d: want %d", recorded.Code, status)
	}
	impls := []struct {
		name string
		http.Handler
	}{{"bare", replay(recorded)}, {"httpcache", cached}}
	for _, impl := range impls {
		b.Run("over=call/impl="+impl.name, func(b *testing.B) { callHandler(b, impl.Handler, r, recorded) })
	}
	for _, impl := range impls {
		b.Run("over=loopback/impl="+impl.name, func(b *testing.B) { fetch(b, impl.Handler, r, recorded) })
	}
}

// BenchmarkHTTPHit is a hit of 3 and of 300 KB.
func BenchmarkHTTPHit(b *testing.B) {
	for _, size := range []struct {
		name  string
		users int
	}{{"3KB", pageSize}, {"300KB", 100 * pageSize}} {
		b.Run("size="+size.name, func(b *testing.B) { compareHit(b, usersHandler(size.users), get(b), http.StatusOK) })
	}
}

// BenchmarkHTTPHitVary is a hit of a response that varies by two fields, which a browser sends.
func BenchmarkHTTPHitVary(b *testing.B) {
	r := get(b, "Accept-Encoding", "gzip, deflate, br, zstd", "Accept-Language", "en-GB,en;q=0.9,de;q=0.8")
	compareHit(b, usersHandler(pageSize, "Accept-Encoding", "Accept-Language"), r, http.StatusOK)
}

// BenchmarkHTTPRange is the middle 3 KB of a stored response of 300 KB.
func BenchmarkHTTPRange(b *testing.B) {
	compareHit(b, usersHandler(100*pageSize), get(b, "Range", "bytes=150000-152999"), http.StatusPartialContent)
}

// BenchmarkHTTPNotModified is a hit for a client with a current copy, and possibly an older one.
func BenchmarkHTTPNotModified(b *testing.B) {
	_, whole := stored(b, usersHandler(pageSize), get(b))
	tag := whole.Header().Get("Etag")
	for _, has := range []struct{ name, tags string }{{"1", tag}, {"2", `"of-long-ago", ` + tag}} {
		b.Run("tags="+has.name, func(b *testing.B) {
			compareHit(b, usersHandler(pageSize), get(b, "If-None-Match", has.tags), http.StatusNotModified)
		})
	}
}

// discard is a ResponseWriter that costs nothing itself.
type discard struct {
	header http.Header
	status int
	length int
}

func (d *discard) Header() http.Header    { return d.header }
func (d *discard) WriteHeader(status int) { d.status = status }

func (d *discard) Write(p []byte) (int, error) {
	d.length += len(p)
	return len(p), nil
}

func callHandler(b *testing.B, h http.Handler, r *http.Request, want *httptest.ResponseRecorder) {
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		w.length = 0
		h.ServeHTTP(w, r)
		if w.status != want.Code || w.length != want.Body.Len() {
			b.Fatalf("got %d with %d bytes: want %d with %d", w.status, w.length, want.Code, want.Body.Len())
		}
	}
}

// fetch sends the request over one connection that stays open. The client does next to nothing, for what it costs is part
// of what is measured: it looks for the end of the head, and skips a body of the known length.
func fetch(b *testing.B, h http.Handler, r *http.Request, want *httptest.ResponseRecorder) {
	server := httptest.NewServer(h)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	head := "GET " + usersPath + " HTTP/1.1\r\nHost: " + r.Host + "\r\n"
	for name, values := range r.Header {
		head += name + ": " + values[0] + "\r\n"
	}
	request, answer := []byte(head+"\r\n"), bufio.NewReaderSize(conn, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if err := skipAnswer(answer, want.Body.Len()); err != nil {
			b.Fatal(err)
		}
	}
}

func skipAnswer(answer *bufio.Reader, length int) error {
	for {
		line, err := answer.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == len("\r\n") {
			_, err = answer.Discard(length)
			return err
		}
	}
}

// BenchmarkHTTPMiss is what the cache adds to a handler that costs nothing, for URLs that were never asked for: where the
// answer is stored, and where it can't be; then where it is known already that it can't be, and where the request says
// that nobody needs to look.
func BenchmarkHTTPMiss(b *testing.B) {
	recorded := httptest.NewRecorder()
	usersHandler(pageSize)(recorded, nil)
	origin := replay(recorded)
	storing := newHTTPCache(b, httpcache.Options{TTL: time.Hour}).Handler(origin)
	silent := newHTTPCache(b, httpcache.Options{}).Handler(origin) // what doesn't say how long it is fresh isn't stored
	for _, impl := range []struct {
		name    string
		handler http.Handler
		request *http.Request
		same    bool
	}{
		{"bare", origin, get(b), false},
		{"stored", storing, get(b), false},
		{"unstorable", silent, get(b), false},
		{"known", silent, get(b), true},
		{"no-store", storing, get(b, "Cache-Control", "no-store"), false},
	} {
		b.Run("impl="+impl.name, func(b *testing.B) {
			w := &discard{header: make(http.Header)}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if !impl.same {
					impl.request.URL.RawQuery = strconv.Itoa(n)
				}
				clear(w.header)
				impl.handler.ServeHTTP(w, impl.request)
			}
		})
	}
}

// BenchmarkHTTPCollapse is 64 requests at once for a URL that was never asked for, of a handler that takes 5 ms: runs/op
// is how often it ran for them.
func BenchmarkHTTPCollapse(b *testing.B) {
	const requests = 64
	recorded := httptest.NewRecorder()
	usersHandler(pageSize)(recorded, nil)
	var runs atomic.Int64
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		time.Sleep(5 * time.Millisecond) // the work
		replay(recorded)(w, r)
	})
	for _, impl := range []struct {
		name string
		http.Handler
	}{
		{"bare", origin},
		{"httpcache", newHTTPCache(b, httpcache.Options{TTL: time.Hour}).Handler(origin)},
	} {
		b.Run("impl="+impl.name, func(b *testing.B) {
			runs.Store(0)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				var all sync.WaitGroup
				for range requests {
					all.Go(func() {
						r := get(b)
						r.URL.RawQuery = strconv.Itoa(n)
						impl.ServeHTTP(&discard{header: make(http.Header)}, r)
					})
				}
				all.Wait()
			}
			b.ReportMetric(float64(runs.Load())/float64(b.N), "runs/op")
		})
	}
}
