package httpcache_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// setAround sets in the answer, around a cache, what a request asks for in fields "Around-…".
func setAround(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, lines := range r.Header {
			if field, ok := strings.CutPrefix(name, "Around-"); ok {
				w.Header()[field] = slices.Clone(lines)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// What handlers around the cache say of an answer, and what is stored, make the answer to the second request.
func TestAround(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stored         []string
		replaces       bool // the handler sets its fields, where there are others
		first, second  []string
		status         string // of the answer to the second request
		field          string
		want           []string
		leavesTheFirst bool // what was stored is still there for a request like the first
	}{
		"Vary is added to": {
			stored: []string{"Vary", "X-A"}, first: []string{"Around-Vary", "X-B"}, second: []string{"Around-Vary", "X-B"},
			status: "hit", field: "Vary", want: []string{"X-B", "X-A"},
		},
		"Vary that nothing is selected by": {
			second: []string{"Around-Vary", "X-B"}, status: "fwd=vary-miss; stored", field: "Vary", want: []string{"X-B"},
		},
		"Vary that another request had": {
			first: []string{"Around-Vary", "X-B"}, status: "hit", field: "Vary", leavesTheFirst: true,
		},
		"Vary replaced by the handler counts all the same": {
			stored: []string{"Vary", "X-A"}, replaces: true, first: []string{"Around-Vary", "X-B"}, second: []string{"Around-Vary", "X-B", "X-B", "other"},
			status: "fwd=vary-miss; stored", field: "Vary", want: []string{"X-A"}, leavesTheFirst: true,
		},
		"Vary: *": {second: []string{"Around-Vary", "*"}, status: "fwd=bypass; detail=around", field: "Vary", want: []string{"*"}, leavesTheFirst: true},
		"Link":    {stored: []string{"Link", "</b>"}, second: []string{"Around-Link", "</a>"}, status: "hit", field: "Link", want: []string{"</a>", "</b>"}},
		"Server-Timing of both": {
			stored: []string{"Server-Timing", "b"}, first: []string{"Around-Server-Timing", "a"}, second: []string{"Around-Server-Timing", "c"},
			status: "hit", field: "Server-Timing", want: []string{"c", "b"},
		},
		"Set-Cookie": {
			stored: []string{"Set-Cookie", "b=2", "Cache-Control", "public, max-age=60"}, second: []string{"Around-Set-Cookie", "a=1"},
			status: "hit", field: "Set-Cookie", want: []string{"a=1", "b=2"},
		},
		"private": {
			second: []string{"Around-Cache-Control", "private"}, status: "fwd=bypass; detail=around", field: "Cache-Control",
			want: []string{"private"}, leavesTheFirst: true,
		},
		"no-store, which the handler would replace for all that the cache knows": {
			stored: []string{"Cache-Control", "max-age=60"}, replaces: true, second: []string{"Around-Cache-Control", "no-store"},
			status: "fwd=bypass; detail=around", field: "Cache-Control", want: []string{"max-age=60"}, leavesTheFirst: true,
		},
		"no-store, which the handler replaced": {
			stored: []string{"Cache-Control", "max-age=60"}, replaces: true, first: []string{"Around-Cache-Control", "no-store"},
			second: []string{"Around-Cache-Control", "no-store"}, status: "hit", field: "Cache-Control", want: []string{"no-store", "max-age=60"},
		},
		"stricter": {
			stored: []string{"Cache-Control", "max-age=60"}, second: []string{"Around-Cache-Control", "no-transform, max-age=5"},
			status: "hit", field: "Cache-Control", want: []string{"no-transform, max-age=5", "max-age=60"},
		},
		"no list": {
			stored: []string{"Content-Language", "fr"}, second: []string{"Around-Content-Language", "de"},
			status: "hit", field: "Content-Language", want: []string{"fr"},
		},
		"nothing stored of it": {second: []string{"Around-X-Request-Id", "2"}, status: "hit", field: "X-Request-Id", want: []string{"2"}},
	} {
		for _, redis := range []bool{false, true} {
			t.Run(fmt.Sprint(name, redis), func(t *testing.T) {
				o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
					for i := 0; i < len(tc.stored); i += 2 {
						if name, value := tc.stored[i], tc.stored[i+1]; tc.replaces {
							w.Header().Set(name, value)
						} else {
							w.Header().Add(name, value)
						}
					}
					fmt.Fprint(w, "hello")
				}}
				options := httpcache.Options{TTL: minute}
				if redis {
					options.Redis = connect(t, redistest.Start(t))
				}
				h := setAround(newCache(t, options).Handler(o))
				expect(t, get(h, "/a", tc.first...), 200, stored, "hello")
				w := get(h, "/a", tc.second...)
				if s := w.Header().Get("Cache-Status"); !strings.Contains(s, tc.status) || !slices.Equal(w.Header()[tc.field], tc.want) {
					t.Errorf("%s: %s: %q, want %s, %q", s, tc.field, w.Header()[tc.field], tc.status, tc.want)
				}
				if tc.leavesTheFirst && !isHit(get(h, "/a", tc.first...)) {
					t.Error("what was stored is gone")
				}
			})
		}
	}
}

// What was said around the cache is remembered with a response, through a 304 and a run behind.
func TestAroundIsRemembered(t *testing.T) {
	for name, control := range map[string]string{"validated": "max-age=10", "behind": "max-age=10, stale-while-revalidate=1000"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
					tag := fmt.Sprintf("%q", "for "+r.Header.Get("X-B"))
					w.Header().Set("ETag", tag)
					w.Header().Add("Vary", "X-A")
					if r.Header.Get("If-None-Match") == tag {
						w.WriteHeader(http.StatusNotModified)
						return
					}
					fmt.Fprint(w, r.Header.Get("X-B"))
				}}
				h := setAround(newCache(t, httpcache.Options{}).Handler(o))
				ask := func(b string) {
					t.Helper()
					w := get(h, "/a", "X-B", b, "Around-Vary", "X-B", "Around-Cache-Control", control)
					if got := slices.Sorted(maps.Keys(map[string]bool{w.Header()["Vary"][0]: true, w.Header()["Vary"][1]: true})); w.Body.String() != b || !slices.Equal(got, []string{"X-A", "X-B"}) {
						t.Errorf("%s: %q, %v", b, w.Body, w.Header())
					}
					synctest.Wait()
				}
				for range 4 {
					ask("1")
					ask("2")
					time.Sleep(15 * time.Second)
				}
				runs := o.runs.Load()
				ask("1")
				ask("1") // it is fresh: its lifetime is what was said around
				if name == "validated" && o.runs.Load() != runs+1 {
					t.Errorf("%d runs for two requests, want 1", o.runs.Load()-runs)
				}
			})
		})
	}
}
