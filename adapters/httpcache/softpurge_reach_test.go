package httpcache_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Each variant is stale, and stays so until it is validated itself.
func TestSoftPurgeOfVariants(t *testing.T) {
	for name, options := range map[string]httpcache.Options{"": {}, "with KeyHeaders": {KeyHeaders: []string{"X-Key"}}} {
		t.Run(name, func(t *testing.T) {
			purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
				o := &origin{}
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					language := r.Header.Get("X-Lang")
					tag := `"` + language + `"`
					setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Vary", "X-Lang", "Etag", tag, "Cache-Tag", "thing"})
					if r.Header.Get("If-None-Match") == tag {
						w.WriteHeader(http.StatusNotModified)
						return
					}
					fmt.Fprintf(w, "%s of run %d", language, o.runs.Load())
				}
				c := newCache(t, options)
				h := c.Handler(o)
				languages := []string{"de", "en", "fr"}
				runs := int64(0)
				all := func(status string, ran int64) {
					t.Helper()
					for i, l := range languages {
						w := get(h, "/a", "X-Lang", l)
						if want := fmt.Sprintf("%s of run %d", l, i+1); w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Cache-Status"), status) {
							t.Errorf("%q, %q, want %q, %q", w.Header().Get("Cache-Status"), w.Body, status, want)
						}
					}
					runs += ran
					o.expectRuns(t, runs)
				}
				all("http; fwd=", 3)
				all("http; hit; ttl=60", 0)
				for range 3 {
					purge(c)
					all("http; fwd=stale; fwd-status=304; stored", 3)
					all("http; hit; ttl=60", 0)
				}
				purge(c)
				w := get(h, "/a", "X-Lang", "en") // of one of them, and then once more
				if got := w.Header().Get("Cache-Status"); w.Body.String() != "en of run 2" || !strings.HasPrefix(got, "http; fwd=stale; fwd-status=304") {
					t.Errorf("%q, %q", got, w.Body)
				}
				purge(c)
				if w := get(h, "/a", "X-Lang", "en"); w.Body.String() != "en of run 2" || strings.Contains(w.Header().Get("Cache-Status"), "hit") {
					t.Errorf("%v, %q", w.Header(), w.Body)
				}
				for _, l := range languages {
					if w := get(h, "/a", "X-Lang", l); strings.Contains(w.Header().Get("Cache-Status"), "hit") != (l == "en") {
						t.Errorf("%s: %v", l, w.Header())
					}
				}
				if err := c.Purge(t.Context(), request("GET", "/a")); err != nil {
					t.Fatal(err)
				}
				for _, l := range languages {
					if w := get(h, "/a", "X-Lang", l); strings.Contains(w.Header().Get("Cache-Status"), "304") {
						t.Errorf("%s after a hard purge: %v", l, w.Header())
					}
				}
			})
		})
	}
}

// Variants are served stale and renewed behind, each by a run of its own.
func TestSoftPurgeOfVariantsBehind(t *testing.T) {
	purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
		o := speaking("Cache-Control", "max-age=60, stale-while-revalidate=30", "Cache-Tag", "thing")
		c := newCache(t, httpcache.Options{})
		h := c.Handler(o)
		for n := range 3 {
			for i, l := range []string{"de", "en"} {
				want := fmt.Sprint(l, " ", 1+i+2*max(0, n-1))
				if n == 0 {
					get(h, "/a", "Accept-Language", l)
				} else {
					expect(t, get(h, "/a", "Accept-Language", l), 200, "http; hit; ttl=0", want)
				}
				synctest.Wait()
				expect(t, get(h, "/a", "Accept-Language", l), 200, "http; hit; ttl=60", fmt.Sprint(l, " ", 1+i+2*n))
			}
			purge(c)
		}
		o.expectRuns(t, 6)
	})
}

// What a run brings that began before the purge isn't fresh after it: of the first response, of a variant, of the whole for which a
// part was asked.
func TestSoftPurgeDuringARun(t *testing.T) {
	for name, c := range map[string]struct {
		vary   string
		fields []string
	}{
		"the first":             {"", nil},
		"the first that varies": {"X-Kind", []string{"X-Kind", "a"}},
		"for a part":            {"", []string{"Range", "bytes=0-"}},
	} {
		for _, before := range []bool{false, true} { // there is another variant
			t.Run(fmt.Sprint(name, " ", before), func(t *testing.T) {
				purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
					gate := make(chan struct{})
					o := &origin{}
					o.handler = func(w http.ResponseWriter, r *http.Request) {
						setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Etag", `"x"`, "Surrogate-Key", "thing"})
						if c.vary != "" {
							w.Header().Set("Vary", c.vary)
						}
						if r.Header.Get("X-Kind") == "before" {
							return
						}
						if o.runs.Load() <= 2 {
							<-gate
						}
						fmt.Fprint(w, o.runs.Load())
					}
					cache := newCache(t, httpcache.Options{})
					h := cache.Handler(o)
					runs := int64(1)
					if before {
						if get(h, "/a", "X-Kind", "before"); c.vary == "" {
							if err := cache.Purge(t.Context(), request("GET", "/a")); err != nil {
								t.Fatal(err)
							}
						}
						runs++
					} else {
						o.runs.Add(1)
						runs++
					}
					old := concurrently(1, h, "/a", c.fields...)
					synctest.Wait()
					o.expectRuns(t, runs)
					purge(cache)
					close(gate)
					<-old
					for range 2 {
						get(h, "/a", c.fields...)
					}
					if o.expectRuns(t, runs+1); t.Failed() {
						t.Log("one run after the purge, and then a hit")
					}
				})
			})
		}
	}
}

// Parts, HEADs, other spellings and users' responses are reached as by a Purge.
func TestSoftPurgeReaches(t *testing.T) {
	for name, c := range map[string]struct {
		options httpcache.Options
		stored  *http.Request
		again   *http.Request
		purged  *http.Request
	}{
		"a part":           {httpcache.Options{}, request("GET", "/a", "Range", "bytes=0-3"), request("GET", "/a", "Range", "bytes=1-2"), request("GET", "/a")},
		"HEAD":             {httpcache.Options{}, request("GET", "/a"), request("HEAD", "/a"), request("HEAD", "/a")},
		"another spelling": {httpcache.Options{}, request("GET", "/%C3%A4"), request("GET", "/%C3%A4"), request("GET", "/%c3%a4")},
		"another port":     {httpcache.Options{}, request("GET", "http://example.com/a"), request("GET", "http://example.com/a"), request("GET", "http://EXAMPLE.com:80/a")},
		"KeyHeaders": {httpcache.Options{KeyHeaders: []string{"X-Tenant"}}, request("GET", "/a", "X-Tenant", "acme"),
			request("GET", "/a", "X-Tenant", "acme"), request("GET", "/a")},
		"a user": {httpcache.Options{User: func(r *http.Request) string { return r.Header.Get("X-User") }}, request("GET", "/a", "X-User", "ada"),
			request("GET", "/a", "X-User", "ada"), request("GET", "/a", "X-User", "grace")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
					setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Etag", `"x"`})
					if r.Header.Get("If-None-Match") != "" {
						w.WriteHeader(http.StatusNotModified)
						return
					}
					if r.Header.Get("Range") != "" {
						w.Header().Set("Content-Range", "bytes 0-3/10")
						w.WriteHeader(http.StatusPartialContent)
						fmt.Fprint(w, "0123")
						return
					}
					fmt.Fprint(w, "0123456789")
				}}
				cache := newCache(t, c.options)
				h := cache.Handler(o)
				isHit := func(r *http.Request) bool {
					return strings.Contains(serve(h, r.Clone(t.Context())).Header().Get("Cache-Status"), "; hit")
				}
				if isHit(c.stored) || !isHit(c.again) {
					t.Fatal("it isn't stored")
				}
				if err := cache.SoftPurge(t.Context(), c.purged); err != nil {
					t.Fatal(err)
				}
				if isHit(c.again) {
					t.Error("a hit after the purge")
				}
			})
		})
	}
}

// With Redis all processes have it stale; where that doesn't take the purge it is queued, and says so.
func TestSoftPurgeInOtherProcesses(t *testing.T) {
	for name, purge := range softPurges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			o := &origin{}
			o.handler = func(w http.ResponseWriter, r *http.Request) {
				tag := `"` + r.Header.Get("X-Lang") + `"`
				setFields(w.Header(), []string{"Cache-Control", "max-age=60", "Vary", "X-Lang", "Etag", tag, "Cache-Tag", "thing"})
				if r.Header.Get("If-None-Match") == tag {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				fmt.Fprint(w, r.Header.Get("X-Lang"))
			}
			first := newCache(t, httpcache.Options{Redis: connect(t, server), Logger: silent()})
			second := newCache(t, httpcache.Options{Redis: connect(t, server), Logger: silent()})
			languages := []string{"de", "en"}
			for _, l := range languages {
				get(first.Handler(o), "/a", "X-Lang", l)
				if w := get(second.Handler(o), "/a", "X-Lang", l); !strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
					t.Errorf("%s: %v", l, w.Header())
				}
			}
			if err := purge(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			for i, c := range []*httpcache.Cache{second, first} { // each is the first to ask for one of them
				l := languages[i]
				observe.Until(t, "the response", func() bool {
					w := get(c.Handler(o), "/a", "X-Lang", l)
					if w.Body.String() != l {
						t.Errorf("%s: %v, %q", l, w.Header(), w.Body)
					}
					return strings.HasPrefix(w.Header().Get("Cache-Status"), "http; fwd=stale; fwd-status=304; stored")
				})
			}
			for i, c := range []*httpcache.Cache{first, second} {
				l := languages[i]
				observe.Until(t, "the response", func() bool {
					return strings.HasPrefix(get(c.Handler(o), "/a", "X-Lang", l).Header().Get("Cache-Status"), "http; hit; ttl=")
				})
			}
			// If second heard of the purge between its readings of what the response varies by and of the response, first, which
			// has heard of it before both, revalidates that response once more.
			if n := o.runs.Load(); n != 4 && n != 5 {
				t.Errorf("the handler ran %d times, want 4", n)
			}
			server.Do("CONFIG", "SET", "maxmemory", 1)
			if err := purge(t.Context(), first); !errors.Is(err, tiered.ErrQueued) || !strings.HasPrefix(err.Error(), "httpcache: ") {
				t.Errorf("a Redis that refuses it: %v", err)
			}
		})
	}
}

// With Redis too what is stale is served at once, and renewed by one run behind for all processes. There is one purge, since a renewal
// that still waits for the other process's when the next purge begins may be one run more.
func TestSoftPurgeRenewsBehindForAllProcesses(t *testing.T) {
	for name, purge := range softPurges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			o := versions("Cache-Control", "max-age=600, stale-while-revalidate=600", "Cache-Tag", "thing")
			first := newCache(t, httpcache.Options{Redis: connect(t, server)})
			second := newCache(t, httpcache.Options{Redis: connect(t, server)})
			get(first.Handler(o), "/a")
			observe.Until(t, "the response", func() bool { return get(second.Handler(o), "/a").Body.String() == "version 1" })
			if err := purge(t.Context(), second); err != nil {
				t.Fatal(err)
			}
			expect(t, get(second.Handler(o), "/a"), 200, "http; hit; ttl=0", "version 1")
			for _, c := range []*httpcache.Cache{first, second} {
				observe.Until(t, "the new response", func() bool { return get(c.Handler(o), "/a").Body.String() == "version 2" })
			}
			o.expectRuns(t, 2)
		})
	}
}
