package httpcache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

// versions is an origin whose answers are numbered.
func versions(fields ...string) *origin {
	o := &origin{}
	o.handler = func(w http.ResponseWriter, _ *http.Request) {
		n := o.runs.Load()
		setFields(w.Header(), fields)
		fmt.Fprintf(w, "version %d", n)
	}
	return o
}

// A stale response goes out at once, and the next one is the result of one run behind, however many asked for it.
func TestStaleWhileRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := versions("Cache-Control", "max-age=10, stale-while-revalidate=10")
		fast := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				<-gate
			}
			fast(w, r)
		}
		h := newCache(t, httpcache.Options{}).Handler(o)
		expect(t, get(h, "/a"), 200, stored, "version 1")
		time.Sleep(15 * time.Second)
		began := time.Now()
		for range 20 {
			expect(t, get(h, "/a"), 200, "http; hit; ttl=-5", "version 1")
		}
		expectNoTime(t, began)
		synctest.Wait()
		o.expectRuns(t, 2)
		close(gate)
		synctest.Wait()
		expect(t, get(h, "/a"), 200, "http; hit; ttl=10", "version 2")
		time.Sleep(21 * time.Second)
		expect(t, get(h, "/a"), 200, stored, "version 3")
	})
}

// What the store is told of the response holds where the option says it, too.
func TestStaleOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := versions("Cache-Control", "max-age=10")
		h := newCache(t, httpcache.Options{StaleWhileRevalidate: minute}).Handler(o)
		get(h, "/a")
		time.Sleep(11 * time.Second)
		expect(t, get(h, "/a"), 200, "http; hit; ttl=-1", "version 1")
		synctest.Wait()
		expect(t, get(h, "/a"), 200, "http; hit; ttl=10", "version 2")
	})
}

// A run behind has no client whose end could cut it short: not even on a real connection, where the request's context ends
// with the answer and the length of the body isn't known before.
func TestRevalidatesBehindOnTheWire(t *testing.T) {
	gate := make(chan struct{})
	o := versions("Cache-Control", "max-age=10, stale-while-revalidate=1000", "Age", "10")
	fast := o.handler
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		if o.runs.Load() > 1 {
			w.Header().Set("Cache-Control", "max-age=60")
			<-gate
			if r.Context().Err() != nil {
				t.Error("the context of a run behind has ended:", r.Context().Err())
			}
			fmt.Fprint(w, "new ")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
		fast(w, r)
	}
	c := newCache(t, httpcache.Options{})
	s := httptest.NewServer(c.Handler(o))
	t.Cleanup(s.Close)
	expectMiss(t, s, "/a", "version 1")
	expectHit(t, s, "/a", "version 1")
	close(gate)
	observe.Until(t, "the response", func() bool {
		_, body := fetch(t, s, "/a")
		return body == "new version 2"
	})
}

// The answer to a HEAD has no body: a run behind for it would store that nothing.
func TestHEADDoesNotRevalidateBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=60")
			w.WriteHeader(http.StatusOK)
			if r.Method != http.MethodHead {
				fmt.Fprint(w, "hello")
			}
		}}
		h := newCache(t, httpcache.Options{}).Handler(o)
		get(h, "/a")
		time.Sleep(20 * time.Second)
		expect(t, serve(h, request("HEAD", "/a")), 200, "http; hit; ttl=-10", "")
		synctest.Wait()
		if w := get(h, "/a"); w.Body.String() != "hello" {
			t.Errorf("%v, %q", w.Header(), w.Body)
		}
	})
}

// What a run behind brings is for the requests of the reduced Accept-Encoding, and so it is asked.
func TestRevalidatesBehindInTheSameEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", "max-age=10, stale-while-revalidate=60", "Vary", "Accept-Encoding"})
			fmt.Fprint(w, r.Header.Get("Accept-Encoding"))
		}}
		h := newCache(t, httpcache.Options{Encodings: []string{"br", "gzip"}}).Handler(o)
		for range 3 {
			if w := get(h, "/a", "Accept-Encoding", "gzip, deflate, br"); w.Body.String() != "br" {
				t.Errorf("%v, %q", w.Header(), w.Body)
			}
			time.Sleep(20 * time.Second)
		}
		o.expectRuns(t, 3)
	})
}

// Close ends the runs behind that heed their context.
func TestCloseEndsRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		o := versions("Cache-Control", "max-age=10, stale-while-revalidate=60")
		fast := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				<-r.Context().Done()
				ended.Store(true)
				return
			}
			fast(w, r)
		}
		c := newCache(t, httpcache.Options{Logger: silent()})
		h := c.Handler(o)
		get(h, "/a")
		time.Sleep(15 * time.Second)
		get(h, "/a")
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !ended.Load() {
			t.Error("the handler still runs")
		}
	})
}

// A run behind that fails, in whatever way, leaves the stale response, and isn't begun again at each request.
func TestRevalidationFails(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"500":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"panic":  func(http.ResponseWriter, *http.Request) { panic("boom") },
		"abort":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"midway": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "half"); panic("boom") },
		"hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"too short": func(w http.ResponseWriter, _ *http.Request) {
			setFields(w.Header(), []string{"Content-Length", "9", "Cache-Control", "max-age=10"})
			fmt.Fprint(w, "x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := versions("Cache-Control", "max-age=10, stale-while-revalidate=100")
				good := o.handler
				var failing atomic.Bool
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					if failing.Load() {
						fail(w, r)
						return
					}
					good(w, r)
				}
				h := newCache(t, httpcache.Options{Logger: silent()}).Handler(o)
				get(h, "/a")
				time.Sleep(20 * time.Second)
				failing.Store(true)
				for range 10 {
					expect(t, get(h, "/a"), 200, "http; hit; ttl=-10", "version 1")
					synctest.Wait()
				}
				o.expectRuns(t, 2)
				time.Sleep(40 * time.Second)
				failing.Store(false)
				expect(t, get(h, "/a"), 200, "http; hit; ttl=-50", "version 1")
				synctest.Wait()
				expect(t, get(h, "/a"), 200, "http; hit; ttl=10", "version 3")
			})
		})
	}
}

// A response that may be served stale is, for a handler that fails; but a failing handler is left alone for a while.
func TestStaleIfError(t *testing.T) {
	for name, fail := range map[string]func(w http.ResponseWriter){
		"500":   func(w http.ResponseWriter) { http.Error(w, "failed", 500) },
		"502":   func(w http.ResponseWriter) { w.WriteHeader(502) },
		"503":   func(w http.ResponseWriter) { w.Header().Set("Set-Cookie", "a=b"); w.WriteHeader(503) },
		"504":   func(w http.ResponseWriter) { w.WriteHeader(504) },
		"panic": func(http.ResponseWriter) { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := versions("Cache-Control", "max-age=10, stale-if-error=60")
				good := o.handler
				var failing atomic.Bool
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					if failing.Load() {
						fail(w)
						return
					}
					good(w, r)
				}
				h := newCache(t, httpcache.Options{Logger: silent()}).Handler(o)
				get(h, "/a")
				failing.Store(true)
				time.Sleep(20 * time.Second)
				w := get(h, "/a")
				if s := w.Header().Get("Cache-Status"); w.Code != 200 || w.Body.String() != "version 1" ||
					!strings.HasPrefix(s, "http; fwd=stale") || !strings.HasSuffix(s, "detail=stale-if-error") || w.Header().Get("Age") != "20" {
					t.Errorf("%d, %v, %q", w.Code, w.Header(), w.Body)
				}
				if w.Header().Get("Set-Cookie") != "" {
					t.Error("the failure's fields are in the answer")
				}
				for range 10 {
					expect(t, get(h, "/a"), 200, "http; hit; ttl=-10", "version 1")
				}
				o.expectRuns(t, 2)
				time.Sleep(2 * time.Second)
				failing.Store(false)
				expect(t, get(h, "/a"), 200, "http; fwd=stale; stored", "version 3")
			})
		})
	}
}

// Past its time, and with must-revalidate, the failure is the answer; and so it is for who takes nothing stale.
func TestStaleIfErrorEnds(t *testing.T) {
	for _, tc := range []struct {
		control string
		age     time.Duration
		request []string
		code    int
	}{
		{"max-age=10, stale-if-error=60", 69 * time.Second, nil, 200},
		{"max-age=10, stale-if-error=60", 71 * time.Second, nil, 500},
		{"max-age=10, must-revalidate, stale-if-error=60", 20 * time.Second, nil, 500},
		{"s-maxage=10, stale-if-error=60", 20 * time.Second, nil, 500},
		{"no-cache, stale-if-error=60", 0, nil, 500},
		{"max-age=10, stale-if-error=60", 20 * time.Second, []string{"Cache-Control", "max-age=15"}, 500},
		{"max-age=10, stale-if-error=60", 20 * time.Second, []string{"Cache-Control", "no-cache"}, 500},
		{"max-age=10, stale-if-error=60", 5 * time.Second, []string{"Cache-Control", "no-cache"}, 500},
	} {
		t.Run(fmt.Sprint(tc.control, tc.age, tc.request), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.handler = func(w http.ResponseWriter, _ *http.Request) {
					if o.runs.Load() > 1 {
						w.WriteHeader(500)
						return
					}
					setFields(w.Header(), []string{"Cache-Control", tc.control, "ETag", `"a"`})
					fmt.Fprint(w, "hello")
				}
				h := newCache(t, httpcache.Options{StaleIfError: minute}).Handler(o)
				get(h, "/a")
				time.Sleep(tc.age)
				if w := get(h, "/a", tc.request...); w.Code != tc.code {
					t.Errorf("%d, %v, want %d", w.Code, w.Header(), tc.code)
				}
				// What was there for others still is.
				if w := get(h, "/a"); tc.request != nil && w.Code != 200 {
					t.Errorf("%d, %v for who takes a stale one", w.Code, w.Header())
				}
			})
		})
	}
}

// What only Redis has goes out at once, too, however long the run behind takes.
func TestStaleFromRedisGoesOutAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const control = "max-age=10, stale-while-revalidate=1000"
	get(newCache(t, httpcache.Options{Redis: connect(t, server)}).Handler(text("hello", "Cache-Control", control, "Age", "10")), "/a")
	began := make(chan struct{})
	o := &origin{handler: func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done() // of Close
	}}
	h := newCache(t, httpcache.Options{Redis: connect(t, server), Logger: silent()}).Handler(o)
	for range 3 {
		if w := get(h, "/a"); w.Body.String() != "hello" || !isHit(w) {
			t.Errorf("%v, %q", w.Header(), w.Body)
		}
	}
	<-began
	o.expectRuns(t, 1)
}
