package httpcache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

// speaking is an origin that answers in the language that is asked for, and says so.
func speaking(fields ...string) *origin {
	o := &origin{}
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), append([]string{"Vary", "Accept-Language"}, fields...))
		fmt.Fprintf(w, "%s %d", r.Header.Get("Accept-Language"), o.runs.Load())
	}
	return o
}

// A crowd that speaks several languages, of which nobody knows yet that they matter: one run each.
func TestCrowdOfVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := speaking()
		fast := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			<-gate
			fast(w, r)
		}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		languages := []string{"de", "en", "fr", "it"}
		answers := make(map[string]<-chan *httptest.ResponseRecorder)
		for _, l := range languages {
			answers[l] = concurrently(10, h, "/a", "Accept-Language", l)
		}
		synctest.Wait()
		o.expectRuns(t, 1)
		close(gate)
		for l, ch := range answers {
			bodies := map[string]bool{}
			for range 10 {
				w := <-ch
				if bodies[w.Body.String()] = true; !strings.HasPrefix(w.Body.String(), l) {
					t.Errorf("%s: %v, %q", l, w.Header(), w.Body)
				}
			}
			if len(bodies) != 1 {
				t.Errorf("%s: %v", l, bodies)
			}
		}
		o.expectRuns(t, 4)
	})
}

// A purge removes all variants, those that are being made included, here and in other processes.
func TestPurgeOfVariants(t *testing.T) {
	t.Parallel()
	for name, purge := range map[string]func(c *httpcache.Cache) error{
		"Purge":     func(c *httpcache.Cache) error { return c.Purge(t.Context(), request("GET", "/a")) },
		"PurgeTags": func(c *httpcache.Cache) error { return c.PurgeTags(t.Context(), "thing") },
		"Clear":     func(c *httpcache.Cache) error { return c.Clear(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			o := speaking("Cache-Tag", "other,thing")
			first := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
			second := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)})
			for _, l := range []string{"de", "en", "fr"} {
				get(first.Handler(o), "/a", "Accept-Language", l)
				if w := get(second.Handler(o), "/a", "Accept-Language", l); !strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit") {
					t.Errorf("%s: %v", l, w.Header())
				}
			}
			if err := purge(first); err != nil {
				t.Fatal(err)
			}
			for i, l := range []string{"de", "en", "fr"} {
				body := fmt.Sprint(l, " ", 4+i)
				if w := get(first.Handler(o), "/a", "Accept-Language", l); w.Body.String() != body {
					t.Errorf("%s: %q, want %q", l, w.Body, body)
				}
				observe.Until(t, "the response", func() bool { return get(second.Handler(o), "/a", "Accept-Language", l).Body.String() == body })
			}
			o.expectRuns(t, 6)
		})
	}
}

// What a run began before a purge brings doesn't come back after it: neither the first response that varies, nor one by other
// fields than those before, nor the whole for which a part was asked.
func TestPurgeDuringTheRunOfAVariant(t *testing.T) {
	for name, purge := range map[string]func(c *httpcache.Cache) error{
		"Purge":     func(c *httpcache.Cache) error { return c.Purge(t.Context(), request("GET", "/a")) },
		"PurgeTags": func(c *httpcache.Cache) error { return c.PurgeTags(t.Context(), "thing") },
		"Clear":     func(c *httpcache.Cache) error { return c.Clear(t.Context()) },
	} {
		for _, tc := range []struct {
			name         string
			before, vary string
			fields       []string
		}{
			{"the first", "", "Accept-Language", []string{"Accept-Language", "de"}},
			{"another", "Accept-Language", "Accept-Language", []string{"Accept-Language", "de"}},
			{"by other fields", "X-Kind", "Accept-Language", []string{"Accept-Language", "de"}},
			{"by none", "X-Kind", "", []string{"X-Kind", "a"}},
			{"for a part", "", "", []string{"Range", "bytes=0-"}},
			{"for a part of a variant", "X-Kind", "X-Kind", []string{"X-Kind", "a", "Range", "bytes=0-"}},
		} {
			t.Run(name+" "+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					gate := make(chan struct{})
					o := &origin{}
					o.handler = func(w http.ResponseWriter, r *http.Request) {
						vary, version := tc.vary, "new"
						if r.Header.Get("X-First") != "" {
							vary, version = tc.before, "old"
						}
						setFields(w.Header(), []string{"Vary", vary, "Surrogate-Key", "thing"})
						if vary == "" {
							w.Header().Del("Vary")
						}
						if o.runs.Load() == 2 {
							<-gate
							version = "old"
						}
						fmt.Fprint(w, version)
					}
					c := newCache(t, httpcache.Options{TTL: minute})
					h := c.Handler(o)
					get(h, "/a", "X-First", "yes", "X-Kind", "first", "Accept-Language", "first")
					if tc.before == "" {
						if err := c.Purge(t.Context(), request("GET", "/a")); err != nil {
							t.Fatal(err)
						}
					}
					old := concurrently(1, h, "/a", tc.fields...)
					synctest.Wait()
					o.expectRuns(t, 2)
					if err := purge(c); err != nil {
						t.Error(err)
					}
					close(gate)
					if w := <-old; w.Body.String() != "old" {
						t.Errorf("%v, %q", w.Header(), w.Body)
					}
					for range 3 {
						if w := get(h, "/a", tc.fields...); w.Body.String() != "new" {
							t.Errorf("%v, %q after the purge", w.Header(), w.Body)
						}
					}
				})
			})
		}
	}
}

// A response that varies by other fields than those of its place is only for requests that say the same in those.
func TestVaryChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			vary := r.Header.Get("X-Vary")
			w.Header().Set("Vary", vary)
			fmt.Fprintf(w, "%s=%s", vary, r.Header.Get(vary))
		}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		specs := []string{"X-A", "X-B", "X-C"}
		for round := range 3 {
			for _, vary := range specs {
				for _, value := range []string{"1", "2", "3"} {
					// Each request says something of one field only, so that no other response is for it.
					w := get(h, "/a", "X-Vary", vary, vary, value, "X-Other", fmt.Sprint(round))
					if want := vary + "=" + value; w.Body.String() != want {
						t.Errorf("%q, want %q", w.Body, want)
					}
				}
			}
		}
		if n := o.runs.Load(); n > 15 {
			t.Errorf("%d runs for 9 responses", n)
		}
	})
}

// However many languages there are: an entry each, and nothing that grows.
func TestEndlessVariants(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	h := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)}).Handler(speaking())
	const key = "tc:http:get://example.com/a:"
	size := func() int64 { return server.Do("STRLEN", key).(int64) }
	get(h, "/a", "Accept-Language", "first")
	before := size()
	for i := range 200 {
		get(h, "/a", "Accept-Language", fmt.Sprint("x-", i))
	}
	if after := size(); after != before || before > 300 {
		t.Errorf("the index had %d bytes, and has %d", before, after)
	}
}

// Whoever prefers a language gets the response in it that is there, and no other's.
func TestLanguages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := "de"
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			setFields(w.Header(), []string{"Vary", "Accept-Language", "Content-Language", answer, "Cache-Control", "max-age=10"})
			fmt.Fprint(w, answer)
		}}
		h := newCache(t, httpcache.Options{}).Handler(o)
		expect(t, get(h, "/a", "Accept-Language", "de"), 200, stored, "de")
		expect(t, get(h, "/a", "Accept-Language", "de, en;q=0.5"), 200, "http; hit; ttl=10", "de")
		expect(t, get(h, "/a", "Accept-Language", "en, de;q=0.5"), 200, "http; fwd=vary-miss; stored", "de")
		expect(t, get(h, "/a", "Accept-Language", "de, en"), 200, "http; fwd=vary-miss; stored", "de")
		// The response under the alias may come to be in another language.
		get(h, "/b", "Accept-Language", "de")
		answer = "fr"
		get(h, "/b", "Accept-Language", "de", "Cache-Control", "no-cache")
		answer = "de"
		expect(t, get(h, "/b", "Accept-Language", "de, it;q=0.2"), 200, "http; fwd=vary-miss; stored", "de")
	})
}

func TestEncodings(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		fmt.Fprint(w, r.Header.Get("Accept-Encoding"))
	}}
	h := newCache(t, httpcache.Options{TTL: minute, Encodings: []string{"br", "gzip"}}).Handler(o)
	for _, tc := range []struct{ accepted, want string }{
		{"gzip, deflate, br", "br"}, {"br;q=0.1, gzip", "br"}, {"gzip;q=0.5", "gzip"}, {"deflate", "identity"}, {"br;q=0", "identity"},
		{"*", "br"}, {"", "identity"},
	} {
		r := request("GET", "/a")
		if tc.accepted != "" {
			r.Header.Set("Accept-Encoding", tc.accepted)
		}
		if w := serve(h, r); w.Body.String() != tc.want || r.Header.Get("Accept-Encoding") != tc.accepted {
			t.Errorf("%q: %q, want %q", tc.accepted, w.Body, tc.want)
		}
	}
	o.expectRuns(t, 3)
}
