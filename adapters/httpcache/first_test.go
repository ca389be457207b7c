package httpcache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A miss answers as its hit will: with the ETag and the length, and with 304 to a client that has the response.
func TestFirstAnswer(t *testing.T) {
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(text("hello"))
	first := get(h, "/a")
	hit := get(h, "/a")
	for _, name := range []string{"Etag", "Content-Length", "Content-Type"} {
		if got, want := first.Result().Header.Get(name), hit.Result().Header.Get(name); got != want || want == "" {
			t.Errorf("%s: %q, and then %q", name, got, want)
		}
	}
	w := get(h, "/b", "If-None-Match", hit.Header().Get("Etag"))
	expect(t, w, 304, "http; fwd=uri-miss; fwd-status=200; stored", "")
	expectHitOf(t, get(h, "/b"), "hello")
}

// Fields that are for the handler's own client go to it, whatever it is answered, and to no other.
func TestOwnFields(t *testing.T) {
	for _, control := range []string{`max-age=0, no-cache="Set-Cookie"`, `max-age=0, private="Set-Cookie"`} {
		n := 0
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			n++
			setFields(w.Header(), []string{"Cache-Control", control, "Etag", `"1"`, "Set-Cookie", fmt.Sprint("n=", n)})
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "hello")
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		for i, fields := range [][]string{{"If-None-Match", `"1"`}, nil, {"If-None-Match", `"1"`}} {
			w := get(h, "/a", fields...)
			if got, want := w.Header().Get("Set-Cookie"), fmt.Sprint("n=", i+1); got != want {
				t.Errorf("%s, %d: %d, cookie %q, want %q", control, i, w.Code, got, want)
			}
		}
	}
}

// What frameworks look for in a ResponseWriter is there, and works as without the cache.
func TestInterfacesOfTheResponseWriter(t *testing.T) {
	gone := make(chan struct{})
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		closed := w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // as gin's c.Stream does
		if err := w.(http.Pusher).Push("/b", nil); err == nil {
			t.Error("pushed over HTTP/1.1")
		}
		if _, err := io.WriteString(w, "hello"); err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
			<-closed
			close(gone)
		}
	}))
	s := httptest.NewServer(h)
	defer s.Close()
	expectMiss(t, s, "/a", "hello")
	expectHit(t, s, "/a", "hello")

	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	leave()
	<-gone
	expect(t, get(h, "/c"), 200, stored, "hello") // nor does a writer without them fail the handler
}
