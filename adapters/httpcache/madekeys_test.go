package httpcache_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Requests in any order get the responses to their URL and host, when their keys are remembered and when they aren't yet.
func TestHitsOfRememberedKeys(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := "" // some responses vary
		if strings.HasPrefix(r.URL.RawQuery, "a") {
			w.Header().Set("Vary", "X-A")
			a = r.Header.Get("X-A")
		}
		fmt.Fprint(w, r.Host, " ", r.URL, " ", a)
	})
	same := func(h http.Handler) http.Handler { return h }
	for _, test := range []struct {
		name   string
		cached func(*httpcache.Cache, http.Handler) http.Handler
		around func(http.Handler) http.Handler
	}{
		{"request", (*httpcache.Cache).Handler, same},
		{"preview", (*httpcache.Cache).PreviewHandler, same},
		{"rewritten", (*httpcache.Cache).Handler, func(h http.Handler) http.Handler { return http.StripPrefix("/a", h) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := test.around(test.cached(newCache(t, httpcache.Options{TTL: time.Hour}), echo))
			var requests []*http.Request
			for _, host := range []string{"a.example", "b.example"} {
				for _, path := range []string{"/a", "/a/b", "/a/a", "/a/%2F"} {
					for _, query := range []string{"", "?b=1", "?b=1&a=2", "?a=2&b=1&b=0"} {
						for _, a := range []string{"1", "2"} {
							r := request("GET", path+query, "X-A", a)
							r.Host = host
							requests = append(requests, r)
						}
					}
				}
			}
			for range 20 * len(requests) {
				r := requests[rand.IntN(len(requests))]
				w, bare := httptest.NewRecorder(), httptest.NewRecorder()
				h.ServeHTTP(w, r)
				test.around(echo).ServeHTTP(bare, r)
				if w.Body.String() != bare.Body.String() {
					t.Fatalf("%q, want %q", w.Body, bare.Body)
				}
			}
		})
	}
}
