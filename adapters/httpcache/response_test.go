package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Fields that a handler around the cache sets for each request are not replayed.
func TestOuterFieldsAreNotStored(t *testing.T) {
	var id atomic.Int64
	inner := newCache(t, httpcache.Options{TTL: minute}).Handler(text("hello", "X-Inner", "1"))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", fmt.Sprint(id.Add(1)))
		inner.ServeHTTP(w, r)
	})
	get(h, "/a")
	w := get(h, "/a")
	if got := strings.Join(w.Header()["X-Request-Id"], ","); got != "2" || w.Header().Get("X-Inner") != "1" {
		t.Errorf("%v", w.Header())
	}
}

// A handler that adds to what a handler around the cache set, or removes it: what is whose can't be told any more.
func TestChangedOuterFields(t *testing.T) {
	for name, change := range map[string]func(h http.Header){
		"appended": func(h http.Header) { h.Add("X-Outer", "inner") },
		"removed":  func(h http.Header) { h.Del("X-Outer") },
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
				change(w.Header())
				fmt.Fprint(w, r.Header.Get("X-User"))
			}}
			inner := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Outer", r.Header.Get("X-User"))
				inner.ServeHTTP(w, r)
			})
			for _, user := range []string{"alice", "bob"} {
				expect(t, get(h, "/a", "X-User", user), 200, missed, user)
			}
		})
	}
}

// The rules find no field by a name that isn't canonical.
func TestFieldNamesThatAreNotCanonical(t *testing.T) {
	for _, name := range []string{"set-cookie", "cache-control", "vary", "x-any"} {
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header()[name] = []string{"private"}
			fmt.Fprint(w, r.Header.Get("X-User"))
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		for _, user := range []string{"alice", "bob"} {
			expect(t, get(h, "/a", "X-User", user), 200, missed, user)
		}
	}
}

// Clients choose how long a key is.
func TestLongKeysAreCut(t *testing.T) {
	const requests, size = 300, 200_000
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.URL.RawQuery)) }}
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	long := "/a?" + strings.Repeat("x", size)
	before := heap()
	for i := range requests {
		get(h, long+fmt.Sprint(i))
	}
	if kept := heap() - before; kept > requests*size/10 {
		t.Errorf("%d MiB are kept", kept>>20)
	}
	o.expectRuns(t, requests)
	if w := get(h, long+"0"); !strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
		t.Errorf("%v", w.Header())
	}
}
