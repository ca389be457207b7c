package httpcache_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

const behindControl = "max-age=10, stale-while-revalidate=1000"

// The run behind comes through the handlers around the cache, with what the client sent and with nothing that they put into the
// request's context.
func TestBehindGoesThroughTheServer(t *testing.T) {
	type key struct{}
	type run struct{ id, uri, path, addr, value, method string }
	var runs [2]run
	o := versions("Cache-Control", behindControl, "Age", "10")
	versioned := o.handler
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		value, _ := r.Context().Value(key{}).(string)
		if n := o.runs.Load(); n <= 2 {
			runs[n-1] = run{r.Header.Get("X-Id"), r.RequestURI, r.URL.Path, r.RemoteAddr, value, r.Method}
		}
		if r.Context().Value(http.ServerContextKey) == nil || r.Context().Value(http.LocalAddrContextKey) == nil {
			t.Error("the server isn't in the context")
		}
		versioned(w, r)
	}
	inner := http.StripPrefix("/api", newCache(t, httpcache.Options{}).Handler(o))
	var outer atomic.Int64
	s := listenAs(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, fmt.Sprint("outer ", outer.Add(1)))))
	}))
	fetch(t, s, "/api/a?b=c", "X-Id", "1")
	observe.Until(t, "the response", func() bool { _, body := fetch(t, s, "/api/a?b=c", "X-Id", "2"); return body != "version 1" })
	want := run{"2", "/api/a?b=c", "/a", runs[0].addr, runs[1].value, "GET"}
	if runs[1] != want || runs[0].value != "outer 1" || runs[1].value == "outer 1" || runs[1].value == "" {
		t.Errorf("the runs have %q, want %q", runs, want)
	}
}

// What answers a run behind on its way, or sends it elsewhere, leaves the stale response, and stores nothing.
func TestBehindDoesNotReachTheCache(t *testing.T) {
	for name, outer := range map[string]func(w http.ResponseWriter, r *http.Request, next http.Handler){
		"redirect": func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"page":  func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { fmt.Fprint(w, "log in") },
		"panic": func(http.ResponseWriter, *http.Request, http.Handler) { panic("boom") },
		"other URL": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = "/b"
			next.ServeHTTP(w, r)
		},
		"other variant": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Header.Set("X-Lang", "fr")
			next.ServeHTTP(w, r)
		},
		"other method": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Method = http.MethodHead
			next.ServeHTTP(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := versions("Cache-Control", behindControl, "Vary", "X-Lang")
				c := newCache(t, httpcache.Options{Logger: silent()})
				h := c.Handler(o)
				var answered atomic.Int64
				server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Once") == "used" {
						answered.Add(1)
						outer(w, r, h)
						return
					}
					r.Header.Set("X-Once", "used") // as a token that is good for one request
					h.ServeHTTP(w, r)
				})
				expect(t, get(server, "/a"), 200, stored, "version 1")
				time.Sleep(15 * time.Second)
				expect(t, get(server, "/a"), 200, "http; hit; ttl=-5", "version 1")
				synctest.Wait()
				if answered.Load() != 1 {
					t.Errorf("%d runs behind, want 1", answered.Load())
				}
				runs := o.runs.Load() // an unrecorded one may have come to the handler
				for _, other := range []*http.Request{request("GET", "/b"), request("GET", "/a", "X-Lang", "fr")} {
					if w := serve(server, other); strings.Contains(w.Header().Get("Cache-Status"), "hit") {
						t.Errorf("%s is stored: %v", other.URL, w.Header())
					}
				}
				time.Sleep(2 * time.Second) // past the time for which a failed load isn't tried again
				expect(t, get(server, "/a"), 200, "http; fwd=stale; stored; detail=foreground", fmt.Sprint("version ", runs+3))
				expect(t, get(server, "/a"), 200, "http; hit; ttl=10", fmt.Sprint("version ", runs+3))
			})
		})
	}
}

// Where the outermost handler isn't known, a stale response is renewed before it is served; it is the answer if that fails,
// and meanwhile.
func TestRenewsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := versions("Cache-Control", behindControl)
		versioned, gate := o.handler, make(chan struct{})
		var failing, slow atomic.Bool
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			if slow.Load() {
				<-gate
			}
			if failing.Load() {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			versioned(w, r)
		}
		h := newCache(t, httpcache.Options{}).Handler(o)
		get := func(fields ...string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request("GET", "/a", fields...)) // no server
			return w
		}
		get()
		time.Sleep(15 * time.Second)
		expect(t, get("Cache-Control", "only-if-cached"), 200, "http; hit; ttl=-5", "version 1")
		expect(t, get(), 200, "http; fwd=stale; stored; detail=foreground", "version 2")
		expect(t, get(), 200, "http; hit; ttl=10", "version 2")

		time.Sleep(15 * time.Second)
		failing.Store(true)
		if w := get(); w.Code != 200 || w.Body.String() != "version 2" || !strings.Contains(w.Header().Get("Cache-Status"), "fwd-status=502") {
			t.Errorf("%d, %v, %q", w.Code, w.Header(), w.Body)
		}
		for range 5 { // a handler that failed is left alone
			expect(t, get(), 200, "http; hit; ttl=-5", "version 2")
		}
		o.expectRuns(t, 3)
		failing.Store(false)
		time.Sleep(5 * time.Second)

		slow.Store(true)
		done := make(chan struct{})
		go func() {
			defer close(done)
			expect(t, get(), 200, "http; fwd=stale; stored; detail=foreground", "version 4")
		}()
		synctest.Wait()
		expect(t, get(), 200, "http; hit; ttl=-10", "version 2") // another request asks already
		close(gate)
		<-done
	})
}

// What handlers may need of the server's own contexts isn't there to be made anew, unless somebody says how.
func TestOutermost(t *testing.T) {
	type key struct{}
	with := func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "base") }
	for name, tc := range map[string]struct {
		set    func(s *http.Server)
		behind bool
	}{
		"nothing": {func(*http.Server) {}, true},
		"BaseContext": {func(s *http.Server) {
			s.BaseContext = func(net.Listener) context.Context { return with(context.Background()) }
		}, false},
		"ConnContext": {func(s *http.Server) {
			s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return with(ctx) }
		}, false},
		"not a server": {func(s *http.Server) {
			next := s.Handler
			s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, "another kind")))
			})
		}, false},
	} {
		for _, named := range []bool{false, true} {
			t.Run(fmt.Sprint(name, named), func(t *testing.T) {
				o := versions("Cache-Control", "max-age=0, stale-while-revalidate=1000")
				mux := http.NewServeMux()
				options := httpcache.Options{}
				if named {
					options.Outermost = mux
				}
				mux.Handle("/", newCache(t, options).Handler(o))
				s := httptest.NewUnstartedServer(mux)
				tc.set(s.Config)
				s.Start()
				t.Cleanup(s.Close)
				expectMiss(t, s, "/a", "version 1")
				res, body := fetch(t, s, "/a")
				status := res.Header.Get("Cache-Status")
				if want := tc.behind || named; strings.Contains(status, "; hit") != want || (body == "version 1") != want {
					t.Errorf("%q, %q: want it renewed behind: %v", status, body, want)
				}
				observe.Until(t, "the response", func() bool { _, body := fetch(t, s, "/a"); return body != "version 1" })
			})
		}
	}
}

// The default mux is the outermost handler of a server without one.
func TestBehindThroughTheDefaultMux(t *testing.T) {
	o := versions("Cache-Control", "max-age=0, stale-while-revalidate=1000")
	http.Handle("/behind-default-mux", newCache(t, httpcache.Options{}).Handler(o))
	s := httptest.NewUnstartedServer(nil)
	s.Start()
	t.Cleanup(s.Close)
	expectMiss(t, s, "/behind-default-mux", "version 1")
	expectHit(t, s, "/behind-default-mux", "version 1")
	observe.Until(t, "the response", func() bool { _, body := fetch(t, s, "/behind-default-mux"); return body != "version 1" })
}

func TestBehindWithTLS(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		o := &origin{}
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=1000")
			fmt.Fprint(w, r.TLS != nil && r.TLS.HandshakeComplete && r.TLS.Version >= tls.VersionTLS12, r.ProtoMajor, " ", o.runs.Load())
		}
		s := httptest.NewUnstartedServer(newCache(t, httpcache.Options{}).Handler(o))
		s.EnableHTTP2 = http2
		s.StartTLS()
		t.Cleanup(s.Close)
		_, first := fetch(t, s, "/a")
		prefix, _ := strings.CutSuffix(first, " 1")
		if !strings.HasPrefix(first, "true") {
			t.Error(first)
		}
		observe.Until(t, "the response", func() bool { _, body := fetch(t, s, "/a"); return body != first && strings.HasPrefix(body, prefix) })
	}
}

// http.TimeoutHandler around the cache gives a handler up that is still at work. Its response isn't stored; one in time is.
func TestBehindATimeout(t *testing.T) {
	var slow atomic.Bool
	returned := make(chan struct{}, 1)
	o := versions("Cache-Control", behindControl, "Age", "10")
	versioned := o.handler
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			<-r.Context().Done()
			defer func() { returned <- struct{}{} }()
		}
		versioned(w, r)
	}
	s := listenAs(t, http.TimeoutHandler(newCache(t, httpcache.Options{Logger: silent()}).Handler(o), time.Second, "late"))
	fetch(t, s, "/a")
	slow.Store(true)
	observe.Until(t, "the response", func() bool { expectHit(t, s, "/a", "version 1"); return o.runs.Load() == 2 })
	<-returned
	slow.Store(false)
	observe.Until(t, "the response", func() bool {
		_, body := fetch(t, s, "/a")
		if body == "version 2" {
			t.Fatal("it is stored")
		}
		return body == "version 3"
	})
}

// Handlers that change their request's header in place, as those that undo a coding do, don't change what it is stored for.
func TestHandlerChangesItsHeader(t *testing.T) {
	for _, control := range []string{"max-age=60", "max-age=0, stale-while-revalidate=1000"} {
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			setFields(w.Header(), []string{"Cache-Control", control, "Vary", "X-Lang"})
			fmt.Fprint(w, r.Header.Get("X-Lang"))
			r.Header.Del("X-Lang")
		}}
		s := listen(t, httpcache.Options{}, o)
		for _, lang := range slices.Repeat([]string{"fr", "de"}, 20) {
			if _, body := fetch(t, s, "/a", "X-Lang", lang); body != lang {
				t.Errorf("%s: %q", lang, body)
			}
		}
		if _, body := fetch(t, s, "/a"); body != "" {
			t.Errorf("without the field: %q", body)
		}
	}
}

// A handler that streams finds in a run behind what it would find in any other.
func TestBehindWriter(t *testing.T) {
	o := versions("Cache-Control", "max-age=0, stale-while-revalidate=1000")
	versioned := o.handler
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for _, err := range []error{rc.SetReadDeadline(time.Now().Add(minute)), rc.SetWriteDeadline(time.Now().Add(minute)), rc.EnableFullDuplex()} {
			if err != nil {
				t.Error(err)
			}
		}
		versioned(w, r)
		if err := rc.Flush(); err != nil {
			t.Error(err)
		}
	}
	h := newCache(t, httpcache.Options{}).Handler(o)
	s := listenAs(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no Flusher")
		}
		if _, ok := w.(http.CloseNotifier); !ok { //nolint:staticcheck // frameworks still ask for it
			t.Error("no CloseNotifier")
		}
		h.ServeHTTP(w, r)
	}))
	fetch(t, s, "/a")
	observe.Until(t, "the response", func() bool { _, body := fetch(t, s, "/a"); return body != "version 1" })
}
