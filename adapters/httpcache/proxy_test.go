package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// breaking is an origin that breaks off in a body, unless X-Whole is set: in one of a length that it has said, or in chunks; at
// once, or after a part of it.
func breaking(t *testing.T) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Query().Has("sized") {
			w.Header().Set("Content-Length", "5")
		}
		body := "hello"
		if r.URL.Query().Get("n") == "3" {
			_, _ = io.WriteString(w, body[:3])
			body = body[3:]
		}
		_ = http.NewResponseController(w).Flush()
		if r.Header.Get("X-Whole") == "" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A body of which httputil.ReverseProxy got a part only isn't stored: not without a server, where it returns as if the
// body were whole, nor where a handler around it recovers what it throws under a server.
func TestBrokenProxy(t *testing.T) {
	proxy := httputil.NewSingleHostReverseProxy(breaking(t))
	proxy.ErrorLog = quiet()
	bare := func(h http.Handler, r *http.Request) *httptest.ResponseRecorder { // as on a server that is no *http.Server
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	hit := func(w *httptest.ResponseRecorder) bool {
		return strings.Contains(strings.Join(w.Header()["Cache-Status"], ", "), "hit")
	}
	recovers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }() // as gin's Recovery
		proxy.ServeHTTP(w, r)
	})
	for name, tc := range map[string]struct {
		inside http.Handler
		serve  func(http.Handler, *http.Request) *httptest.ResponseRecorder
	}{
		"no server":                   {proxy, bare},
		"no server, a TimeoutHandler": {http.TimeoutHandler(proxy, time.Minute, ""), bare},
		"no server, two caches":       {newCache(t, httpcache.Options{Name: "inner"}).Handler(proxy), bare},
		"a server, recovered":         {recovers, serve},
		"a server, recovered, caches": {newCache(t, httpcache.Options{Name: "inner"}).Handler(recovers), serve},
	} {
		t.Run(name, func(t *testing.T) {
			h := newCache(t, httpcache.Options{}).Handler(tc.inside)
			for i, query := range []string{"?n=3", "?n=0", "?n=3&sized", "?n=0&sized"} {
				target := fmt.Sprint("/", i, query)
				for range 2 {
					if w := tc.serve(h, request("GET", target)); hit(w) {
						t.Errorf("%s: a hit of %q", target, w.Body)
					}
				}
				if w := tc.serve(h, request("GET", target, "X-Whole", "1")); hit(w) {
					t.Errorf("%s: a hit of %q", target, w.Body)
				}
				if w := tc.serve(h, request("GET", target)); !hit(w) { // what is whole is stored as ever
					t.Errorf("%s: no hit: %v, %q", target, w.Header(), w.Body)
				}
			}
		})
	}
}
