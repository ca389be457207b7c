package tiercache_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

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

// usersHandler answers with a page of 20 users, encoded each time.
func usersHandler(w http.ResponseWriter, _ *http.Request) {
	us := make([]*user, pageSize)
	for id := range us {
		us[id] = newUser(id)
	}
	body, err := json.Marshal(us)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that went away is no concern of a handler's
}

// replay answers with the header fields and body of a recorded response, whatever it is asked.
func replay(recorded *httptest.ResponseRecorder) http.HandlerFunc {
	header, body := recorded.Header(), recorded.Body.Bytes()
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(body)
	}
}

// cachedUsers returns the handler behind a cache that has its response, and that response.
func cachedUsers(b *testing.B, url string) (http.Handler, *httptest.ResponseRecorder) {
	b.Helper()
	c, err := httpcache.New(httpcache.Options{TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	runs := 0
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		usersHandler(w, r)
	}))
	var recorded *httptest.ResponseRecorder
	for range 2 {
		recorded = httptest.NewRecorder()
		h.ServeHTTP(recorded, httptest.NewRequestWithContext(b.Context(), http.MethodGet, url, nil))
	}
	b.Cleanup(func() {
		if runs != 1 {
			b.Errorf("the handler ran %d times: want 1, and hits", runs)
		}
	})
	return h, recorded
}

// BenchmarkHTTPHit compares a hit of the HTTP adapter with a bare handler that writes the same bytes and header fields,
// called as a function or over a connection. "uncached" is the handler that makes the response.
func BenchmarkHTTPHit(b *testing.B) {
	const path = "/api/v1/users?skip=0&limit=20"
	cached, recorded := cachedUsers(b, "http://api.example"+path)
	impls := []struct {
		name string
		http.Handler
	}{
		{"bare", replay(recorded)},
		{"httpcache", cached},
		{"uncached", http.HandlerFunc(usersHandler)},
	}
	for _, impl := range impls {
		b.Run("over=call/impl="+impl.name, func(b *testing.B) { callHandler(b, impl.Handler, path, recorded.Body.Len()) })
	}
	for _, impl := range impls {
		b.Run("over=loopback/impl="+impl.name, func(b *testing.B) { fetch(b, impl.Handler, path, recorded.Body.Bytes()) })
	}
}

func callHandler(b *testing.B, h http.Handler, path string, length int) {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://api.example"+path, nil)
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		w.length = 0
		h.ServeHTTP(w, r)
		if w.length != length {
			b.Fatalf("got %d bytes: want %d", w.length, length)
		}
	}
}

// fetch goes to a server over one connection that stays open.
func fetch(b *testing.B, h http.Handler, path string, want []byte) {
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host = "api.example" // what the cache knows the response under
	var body bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		answer, err := server.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		body.Reset()
		_, err = io.Copy(&body, answer.Body)
		if err := answer.Body.Close(); err != nil {
			b.Fatal(err)
		}
		if err != nil || !bytes.Equal(body.Bytes(), want) {
			b.Fatalf("got %q, %v", body.Bytes(), err)
		}
	}
}
