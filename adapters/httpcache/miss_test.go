package httpcache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// concurrently sends n GETs to h inside of a synctest bubble, and returns their answers' channel.
func concurrently(n int, h http.Handler, target string, fields ...string) <-chan *httptest.ResponseRecorder {
	answers := make(chan *httptest.ResponseRecorder, n)
	for range n {
		go func() { answers <- get(h, target, fields...) }()
	}
	return answers
}

// expectNoTime checks that nobody waited for a timeout since the given time of a bubble.
func expectNoTime(t *testing.T, since time.Time) {
	t.Helper()
	if d := time.Since(since); d != 0 {
		t.Errorf("it took %v", d)
	}
}

func TestConcurrentMissesShareOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			<-gate
			fmt.Fprint(w, "hello")
		}}
		c := newCache(t, httpcache.Options{TTL: minute})
		answers := concurrently(50, c.Handler(o), "/a")
		synctest.Wait()
		close(gate)
		led := 0
		for range 50 {
			w := <-answers
			switch s := w.Header().Get("Cache-Status"); s {
			case stored:
				led++
			case "http; fwd=uri-miss; collapsed":
			default:
				t.Errorf("Cache-Status: %s", s)
			}
			if w.Body.String() != "hello" {
				t.Errorf("body %q", w.Body)
			}
		}
		o.expectRuns(t, 1)
		if s := c.Stats(); led != 1 || s.Collapsed != 49 || s.Stored != 1 {
			t.Errorf("%d led, %+v", led, s)
		}
	})
}

func TestUnstorableIsNeverShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var n atomic.Int64
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			<-gate
			w.Header().Set("Cache-Control", "private")
			fmt.Fprint(w, n.Add(1))
		}}
		answers := concurrently(50, newCache(t, httpcache.Options{TTL: minute}).Handler(o), "/a")
		synctest.Wait()
		o.expectRuns(t, 1)
		close(gate)
		seen := map[string]bool{}
		for range 50 {
			w := <-answers
			if body := w.Body.String(); seen[body] || !strings.HasPrefix(w.Header().Get("Cache-Status"), missed) {
				t.Errorf("%s: %s", w.Header().Get("Cache-Status"), body)
			} else {
				seen[body] = true
			}
		}
		o.expectRuns(t, 50)
	})
}

func TestUsersNeverShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			<-gate
			fmt.Fprint(w, r.Header.Get("Authorization"))
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		users := []string{"alice", "bob"}
		var answers []<-chan *httptest.ResponseRecorder
		for _, user := range users {
			answers = append(answers, concurrently(1, h, "/me", "Authorization", user))
		}
		synctest.Wait()
		o.expectRuns(t, 2)
		close(gate)
		for i, user := range users {
			expect(t, <-answers[i], 200, missed, user)
		}
		expect(t, get(h, "/me"), 200, stored, "")
	})
}

func TestPanic(t *testing.T) {
	for _, thrown := range []any{http.ErrAbortHandler, "boom"} {
		synctest.Test(t, func(t *testing.T) {
			began, gate := time.Now(), make(chan struct{})
			o := &origin{}
			o.handler = func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, "hello")
				if o.runs.Load() == 1 {
					<-gate
					panic(thrown)
				}
			}
			h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
			recovered := make(chan any)
			go func() {
				defer func() { recovered <- recover() }()
				get(h, "/a")
			}()
			synctest.Wait()
			followers := concurrently(3, h, "/a")
			synctest.Wait()
			close(gate)
			if got := <-recovered; got != thrown {
				t.Errorf("recovered %v, want %v", got, thrown)
			}
			for range 3 {
				expect(t, <-followers, 200, missed, "hello")
			}
			expectNoTime(t, began)
			expect(t, get(h, "/a"), 200, stored, "hello")
			expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "hello")
		})
	}
}

// A leader whose client leaves: what the handler made until then isn't stored.
func TestLeaderLeaves(t *testing.T) {
	for _, tc := range []struct {
		name   string
		length string
		after  string
	}{
		{"length unknown", "", stored},
		{"too short", "10", stored},
		{"complete", "5", "http; hit; ttl=60"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					if tc.length != "" && o.runs.Load() == 1 {
						w.Header().Set("Content-Length", tc.length)
					}
					fmt.Fprint(w, "hello")
					if o.runs.Load() == 1 {
						<-r.Context().Done()
					}
				}
				h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
				ctx, cancel := context.WithCancel(t.Context())
				left := make(chan struct{})
				go func() {
					serve(h, request("GET", "/a").WithContext(ctx))
					close(left)
				}()
				synctest.Wait()
				cancel()
				<-left
				synctest.Wait() // what is complete is stored without the client
				expect(t, get(h, "/a"), 200, tc.after, "hello")
			})
		})
	}
}

// A client that left before its request could lead leaves nobody waiting.
func TestLeavesBeforeLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := text("hello")
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		for range 20 {
			serve(h, request("GET", "/a").WithContext(ctx))
		}
		if w := get(h, "/a"); w.Body.String() != "hello" {
			t.Errorf("%v, %q", w.Header(), w.Body)
		}
		synctest.Wait()
		expectNoTime(t, began)
	})
}

// A client that can't be written to takes the response from nobody, unless the handler stops for it.
func TestFailedWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		length int
		stored bool
	}{"short": {5, true}, "long": {1 << 20, true}, "in parts": {5, false}} {
		t.Run(name, func(t *testing.T) {
			body := strings.Repeat("x", tc.length)
			o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
				for part := range slices.Chunk([]byte(body), 10_000) {
					if !tc.stored {
						w.(http.Flusher).Flush()
					}
					if _, err := w.Write(part); err != nil {
						return
					}
				}
			}}
			h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
			h.ServeHTTP(brokenWriter{httptest.NewRecorder()}, request("GET", "/a"))
			w := get(h, "/a")
			if w.Body.String() != body || tc.length < short && isHit(w) != tc.stored {
				t.Errorf("%d bytes, %v", w.Body.Len(), w.Header())
			}
		})
	}
}

const short = 32 << 10 // bytes of a body that is sent as a whole

type brokenWriter struct{ http.ResponseWriter }

func (w brokenWriter) Flush() {}

func (w brokenWriter) Write(p []byte) (int, error) { return len(p) / 2, io.ErrClosedPipe }

// Close doesn't wait for handlers, and they don't notice.
func TestCloseDuringTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			<-gate
			fmt.Fprint(w, "hello")
		}}
		c := newCache(t, httpcache.Options{TTL: minute})
		answers := concurrently(3, c.Handler(o), "/a")
		synctest.Wait()
		o.expectRuns(t, 1)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		o.expectRuns(t, 3)
		close(gate)
		for range 3 {
			if w := <-answers; w.Code != 200 || w.Body.String() != "hello" {
				t.Errorf("%d, %q", w.Code, w.Body)
			}
		}
	})
}

// The same cache twice around one handler must not wait for itself.
func TestNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := text("hello")
		c := newCache(t, httpcache.Options{TTL: minute})
		h := c.Handler(c.Handler(o))
		expect(t, get(h, "/a"), 200, stored, "hello")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "hello")
		o.expectRuns(t, 1)
	})
}

func TestPurgeDuringTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
			<-gate
		}}
		c := newCache(t, httpcache.Options{TTL: minute})
		h := c.Handler(o)
		leader := concurrently(1, h, "/a")
		synctest.Wait()
		if err := c.Purge(t.Context(), request("GET", "/a")); err != nil {
			t.Error(err)
		}
		close(gate)
		<-leader
		expect(t, get(h, "/a"), 200, stored, "hello")
		o.expectRuns(t, 2)
	})
}
