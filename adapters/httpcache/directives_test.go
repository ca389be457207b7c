package httpcache_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// What a request says of what it takes, of a response of 10 seconds that is some time old.
func TestRequestDirectives(t *testing.T) {
	const hit, miss, none = 1, 2, 3
	for _, tc := range []struct {
		control string
		age     int
		request string
		want    int
	}{
		{"max-age=10", 5, "max-age=4", miss}, {"max-age=10", 5, "max-age=5", hit}, {"max-age=10", 5, "min-fresh=5", hit},
		{"max-age=10", 5, "min-fresh=6", miss}, {"max-age=10", 15, "max-stale", hit}, {"max-age=10", 15, "max-stale=5", hit},
		{"max-age=10", 15, "max-stale=4", miss}, {"max-age=10, must-revalidate", 15, "max-stale", miss},
		{"max-age=10", 15, "", miss}, {"max-age=10", 5, "only-if-cached", hit}, {"max-age=10", 15, "only-if-cached", none},
		{"max-age=10", 5, "only-if-cached, no-cache", none}, {"max-age=10", 5, "no-store", miss},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newCache(t, httpcache.Options{}).Handler(text("hello", "Cache-Control", tc.control, "ETag", `"a"`))
			get(h, "/a")
			time.Sleep(time.Duration(tc.age) * time.Second)
			w := get(h, "/a", "Cache-Control", tc.request)
			got := miss
			if isHit(w) {
				got = hit
			} else if w.Code == http.StatusGatewayTimeout {
				got = none
			}
			if got != tc.want {
				t.Errorf("%s, %d s old, for %q: %d, %v", tc.control, tc.age, tc.request, w.Code, w.Header())
			}
		})
	}
}

// What an origin says to caches such as this one goes before what it says to all.
func TestTargetedControl(t *testing.T) {
	for _, tc := range []struct {
		cdn, control string
		hit          bool
	}{
		{"max-age=60", "no-store", true}, {"no-store", "max-age=60", false}, {"private", "public, max-age=60", false},
		{"max-age=", "max-age=60", true}, {"max-age=60", "private", true},
	} {
		h := newCache(t, httpcache.Options{}).Handler(text("hello", "CDN-Cache-Control", tc.cdn, "Cache-Control", tc.control))
		get(h, "/a")
		if w := get(h, "/a"); isHit(w) != tc.hit || w.Header().Get("Cache-Control") != tc.control {
			t.Errorf("%q, %q: %v", tc.cdn, tc.control, w.Header())
		}
	}
}

// Heuristic is for what says nothing, but when it was changed; Keep is for how long one can ask about it.
func TestHeuristicAndKeep(t *testing.T) {
	for _, keep := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			o := file()
			h := newCache(t, httpcache.Options{Heuristic: true, Keep: keep}).Handler(o)
			expect(t, get(h, "/a"), 200, stored, digits)
			time.Sleep(23 * time.Hour)
			if w := get(h, "/a"); !isHit(w) {
				t.Errorf("%v", w.Header())
			}
			time.Sleep(90 * time.Minute)
			want := "http; fwd=stale; fwd-status=304; stored"
			if keep < 0 {
				want = stored
			}
			expect(t, get(h, "/a"), 200, want, digits)
		})
	}
}
