package httpcache_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A response after whose head something went wrong isn't stored: a handler around the one that failed says so by a second
// status, which goes nowhere, or leaves the body shorter than its Content-Length.
func TestBrokenOff(t *testing.T) {
	recovers := func(next http.HandlerFunc) http.HandlerFunc { // as chi's Recoverer
		return func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}()
			next(w, r)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"a panic": recovers(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hel")
			panic("broken off")
		}),
		"a panic within a length": recovers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "hel")
			panic("broken off")
		}),
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hel")
			http.Error(w, "broken off", http.StatusBadGateway)
		},
		"a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "hel")
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken := true
			o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
				if broken {
					h(w, r)
				} else {
					fmt.Fprint(w, "hello")
				}
			}}
			cached := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
			get(cached, "/a")
			broken = false
			expect(t, get(cached, "/a"), 200, stored, "hello")
		})
	}
}

// RFC 9110 §14.4: a part whose body isn't as long as its Content-Range says can't be cut.
func TestPartOfAnotherLength(t *testing.T) {
	for body, kept := range map[string]bool{"01234": true, "0123": false, "012345": false} {
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Content-Range", "bytes 0-4/10"})
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, body)
		}}
		h := newCache(t, httpcache.Options{}).Handler(o)
		expect(t, get(h, "/a", "Range", "bytes=0-4"), 206, stored, body)
		if w := get(h, "/a", "Range", "bytes=1-2"); isHit(w) != kept {
			t.Errorf("%q: a hit: %v", body, !kept)
		}
	}
}

// A HEAD gets what a GET would: also a stale response in place of a failure.
func TestHeadOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := versions("Cache-Control", "max-age=10, stale-if-error=60")
		good := o.handler
		h := newCache(t, httpcache.Options{}).Handler(o)
		get(h, "/a")
		for name, fails := range map[string]http.HandlerFunc{
			"a status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			"a panic":  func(http.ResponseWriter, *http.Request) { panic("down") },
		} {
			time.Sleep(20 * time.Second)
			o.handler = fails
			want := get(h, "/a")
			w := serve(h, request("HEAD", "/a"))
			if w.Code != want.Code || w.Body.Len() != 0 || w.Header().Get("Content-Length") != want.Header().Get("Content-Length") ||
				w.Header().Get("Etag") != want.Header().Get("Etag") {
				t.Errorf("%s: %d, %v, want %v", name, w.Code, w.Header(), want.Header())
			}
		}
		o.handler = good
		if w := serve(h, request("HEAD", "/a", "If-None-Match", `"x"`)); w.Code != 200 || w.Header().Get("Cache-Status") != "http; fwd=stale" {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
	})
}
