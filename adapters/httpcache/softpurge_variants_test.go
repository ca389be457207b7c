package httpcache_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Once the handler has answered with what can't be stored, the response that was purged softly isn't served any more: alone at its URL,
// and each of several variants.
func TestSoftPurgeOfWhatIsRefused(t *testing.T) {
	for _, vary := range []string{"", "X-Lang"} {
		for _, control := range []string{"max-age=3600, stale-while-revalidate=30", "max-age=3600, stale-if-error=30"} {
			t.Run(vary+" "+control, func(t *testing.T) {
				purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
					gone, down := "", false
					o := &origin{}
					o.handler = func(w http.ResponseWriter, r *http.Request) {
						l := r.Header.Get("X-Lang")
						switch {
						case down:
							w.WriteHeader(http.StatusServiceUnavailable)
							return
						case gone == l:
							w.Header().Set("Cache-Control", "private")
							w.WriteHeader(http.StatusNotFound)
							return
						}
						setFields(w.Header(), []string{"Cache-Control", control, "Cache-Tag", "thing"})
						if vary != "" {
							w.Header().Set("Vary", vary)
						}
						fmt.Fprint(w, l)
					}
					c := newCache(t, httpcache.Options{})
					h := c.Handler(o)
					for _, l := range []string{"de", "en", "fr"} {
						for _, other := range []string{"de", "en", "fr"} {
							if vary != "" || l == other {
								get(h, "/a", "X-Lang", other)
							}
						}
						purge(c)
						if l == "en" && vary != "" {
							get(h, "/a", "X-Lang", "fr") // whose new response begins an index
							synctest.Wait()
						}
						gone = l
						get(h, "/a", "X-Lang", l)
						synctest.Wait()
						for range 3 {
							if w := get(h, "/a", "X-Lang", l); w.Code != http.StatusNotFound {
								t.Errorf("%s: %d, %v", l, w.Code, w.Header())
							}
							time.Sleep(10 * time.Second)
						}
						down = true
						if w := get(h, "/a", "X-Lang", l); w.Code != http.StatusServiceUnavailable {
							t.Errorf("%s, when the handler fails: %d, %v", l, w.Code, w.Header())
						}
						gone, down = "", false
						if err := c.Clear(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// A variant that has taken the place of one that was purged softly may be kept for a shorter time: that one doesn't come back then.
func TestReplacedVariantStaysReplaced(t *testing.T) {
	purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
		control := "max-age=3600, stale-while-revalidate=30"
		o := &origin{}
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", control, "Cache-Tag", "thing", "Vary", "X-Lang"})
			fmt.Fprint(w, r.Header.Get("X-Lang"), " ", o.runs.Load())
		}
		c := newCache(t, httpcache.Options{})
		h := c.Handler(o)
		get(h, "/a", "X-Lang", "de")
		get(h, "/a", "X-Lang", "en")
		purge(c)
		get(h, "/a", "X-Lang", "de")
		synctest.Wait()
		get(h, "/a", "X-Lang", "en")
		synctest.Wait()
		control = "max-age=5"
		reload := []string{"Cache-Control", "max-age=0"}
		for i, l := range []string{"de", "en"} { // a long one in its place, and then a short one
			expect(t, get(h, "/a", "X-Lang", l), 200, "http; hit; ttl=3600", fmt.Sprint(l, " ", 3+i))
			expect(t, get(h, "/a", append(reload, "X-Lang", l)...), 200, "http; fwd=request; stored", fmt.Sprint(l, " ", 5+i))
		}
		time.Sleep(10 * time.Second)
		for i, l := range []string{"de", "en"} {
			if w := get(h, "/a", "X-Lang", l); w.Body.String() != fmt.Sprint(l, " ", 7+i) {
				t.Errorf("%v, %q", w.Header(), w.Body)
			}
		}
		control = "max-age=3600, stale-while-revalidate=30"
		time.Sleep(10 * time.Second)
		get(h, "/a", "X-Lang", "de")
		get(h, "/a", "X-Lang", "en")
		purge(c)
		control = "max-age=5" // a short one in its place
		for i, l := range []string{"de", "en"} {
			expect(t, get(h, "/a", "X-Lang", l), 200, "http; hit; ttl=0", fmt.Sprint(l, " ", 9+i))
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		for i, l := range []string{"de", "en"} {
			if w := get(h, "/a", "X-Lang", l); w.Body.String() != fmt.Sprint(l, " ", 13+i) {
				t.Errorf("%v, %q", w.Header(), w.Body)
			}
		}
	})
}

// Requests for variants that wait for the first one's response after a soft purge share a run of their own each, and aren't served a
// stale response as if the handler had failed.
func TestSoftPurgeAndACrowdOfVariants(t *testing.T) {
	for _, fields := range [][]string{{"Cache-Control", "max-age=60, stale-if-error=60"}, {"Cache-Control", "max-age=60", "Etag", `"x"`}} {
		t.Run(fields[1], func(t *testing.T) {
			purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
				gate := make(chan struct{})
				var gated atomic.Bool
				o := &origin{}
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					n := o.runs.Load()
					if gated.Load() {
						<-gate
					}
					setFields(w.Header(), append([]string{"Vary", "X-Lang", "Cache-Tag", "thing"}, fields...))
					fmt.Fprint(w, r.Header.Get("X-Lang"), " ", n)
				}
				c := newCache(t, httpcache.Options{})
				h := c.Handler(o)
				get(h, "/a", "X-Lang", "de")
				get(h, "/a", "X-Lang", "en")
				purge(c)
				gated.Store(true)
				de := concurrently(1, h, "/a", "X-Lang", "de")
				synctest.Wait()
				en := concurrently(10, h, "/a", "X-Lang", "en")
				synctest.Wait()
				close(gate)
				if w := <-de; w.Body.String() != "de 3" {
					t.Errorf("%v, %q", w.Header(), w.Body)
				}
				for range 10 {
					if w := <-en; w.Body.String() != "en 4" || strings.Contains(w.Header().Get("Cache-Status"), "hit") {
						t.Errorf("%v, %q", w.Header(), w.Body)
					}
				}
				o.expectRuns(t, 4)
			})
		})
	}
}

// A run behind for a variant that was purged softly validates that variant, and no other: a handler around the cache may have made
// another request of it.
func TestSoftPurgeBehindIsOfTheVariant(t *testing.T) {
	purgeSoftly(t, func(t *testing.T, purge func(c *httpcache.Cache)) {
		o := &origin{}
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", "max-age=60, stale-while-revalidate=30", "Cache-Tag", "thing", "Vary", "X-Bucket", "Etag", `"1"`})
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, r.Header.Get("X-Bucket"))
		}
		c := newCache(t, httpcache.Options{})
		cached := c.Handler(o)
		in := func(buckets ...string) http.Handler { // of the requests, one after the other
			var n atomic.Int64
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("X-Bucket", buckets[n.Add(1)-1])
				cached.ServeHTTP(w, r)
			})
		}
		get(in("a"), "/a")
		purge(c)
		expect(t, get(in("a", "b"), "/a"), 200, "http; hit; ttl=0", "a")
		synctest.Wait()
		for _, bucket := range []string{"a", "b"} {
			if w := get(in(bucket, bucket), "/a"); w.Body.String() != bucket {
				t.Errorf("%s: %v, %q", bucket, w.Header(), w.Body)
			}
			synctest.Wait()
		}
	})
}

// The same with Redis, where one process has the answer that can't be stored, and another one the variants in memory.
func TestSoftPurgeOfWhatIsRefusedElsewhere(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var gone atomic.Bool
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), []string{"Vary", "X-Lang", "Cache-Control", "max-age=3600, stale-while-revalidate=3000"})
		if gone.Load() {
			w.Header().Set("Cache-Control", "private")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, r.Header.Get("X-Lang"))
	}}
	first := newCache(t, httpcache.Options{Redis: connect(t, server), Logger: silent()})
	second := newCache(t, httpcache.Options{Redis: connect(t, server), Logger: silent()})
	for _, l := range []string{"de", "en"} {
		get(first.Handler(o), "/a", "X-Lang", l)
		get(second.Handler(o), "/a", "X-Lang", l)
	}
	if err := first.SoftClear(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone.Store(true)
	for _, l := range []string{"de", "en"} {
		if w := get(first.Handler(o), "/a", "X-Lang", l); w.Body.String() != l {
			t.Errorf("%v, %q", w.Header(), w.Body)
		}
		for _, c := range []*httpcache.Cache{first, second} {
			observe.Until(t, "the response", func() bool { return get(c.Handler(o), "/a", "X-Lang", l).Code == http.StatusNotFound })
		}
	}
}
