package httpcache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Followers don't wait for the end of a response that won't be stored.
func TestFollowersAreReleasedAtOnce(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter){
		"by the header": func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) },
		"by the body":   func(w http.ResponseWriter) { fmt.Fprint(w, "more than ten bytes") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate, end := make(chan struct{}), make(chan struct{})
				o := &origin{}
				o.handler = func(w http.ResponseWriter, _ *http.Request) {
					if o.runs.Load() > 1 {
						fmt.Fprint(w, "follower")
						return
					}
					<-gate
					begin(w)
					<-end
				}
				h := newCache(t, httpcache.Options{TTL: minute, MaxBody: 10}).Handler(o)
				leader := concurrently(1, h, "/a")
				synctest.Wait()
				followers := concurrently(5, h, "/a")
				synctest.Wait()
				close(gate)
				for range 5 {
					expect(t, <-followers, 200, missed, "follower")
				}
				close(end)
				<-leader
				o.expectRuns(t, 6)
			})
		})
	}
}

// Who asks for a new response doesn't get one that was begun before, and doesn't wait for it.
func TestReloadsAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
			<-gate
			fmt.Fprint(w, "hello")
		}}
		answers := concurrently(3, newCache(t, httpcache.Options{TTL: minute}).Handler(o), "/a", "Cache-Control", "no-cache")
		synctest.Wait()
		o.expectRuns(t, 3)
		close(gate)
		for range 3 {
			if w := <-answers; w.Body.String() != "hello" || !strings.HasPrefix(w.Header().Get("Cache-Status"), "http; fwd=request") {
				t.Errorf("%v, %q", w.Header(), w.Body)
			}
		}
	})
}

// A follower whose client leaves doesn't wait for the leader.
func TestFollowerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-gate:
				fmt.Fprint(w, "hello")
			case <-r.Context().Done():
			}
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		leader := concurrently(1, h, "/a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			serve(h, request("GET", "/a").WithContext(ctx))
			close(left)
		}()
		synctest.Wait()
		cancel()
		<-left
		close(gate)
		expect(t, <-leader, 200, stored, "hello")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "hello")
	})
}

// A handler that outlives the load's time answers its own client; the others don't wait that long, and it isn't stored.
func TestHandlerSlowerThanLoadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.handler = func(w http.ResponseWriter, _ *http.Request) {
			if o.runs.Load() == 1 {
				time.Sleep(5 * time.Minute)
			}
			fmt.Fprint(w, "hello")
		}
		c := newCache(t, httpcache.Options{TTL: time.Hour})
		h := c.Handler(o)
		began := time.Now()
		leader := concurrently(1, h, "/a")
		synctest.Wait()
		expect(t, get(h, "/a"), 200, missed, "hello")
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %v", waited)
		}
		if w := <-leader; w.Body.String() != "hello" {
			t.Errorf("%v, %q", w.Header(), w.Body)
		}
		if s := c.Stats(); s.Stored != 0 {
			t.Errorf("%+v", s)
		}
		expect(t, get(h, "/a"), 200, stored, "hello")
	})
}

// A response that goes out in parts is not waited for: neither by those who wait already nor by those who come then. The
// leader's is stored.
func TestFollowersOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, end := make(chan struct{}), make(chan struct{})
		o := &origin{}
		o.handler = func(w http.ResponseWriter, _ *http.Request) {
			if o.runs.Load() > 1 {
				fmt.Fprint(w, "follower")
				return
			}
			<-gate
			fmt.Fprint(w, "one ")
			w.(http.Flusher).Flush()
			<-end
			fmt.Fprint(w, "two")
		}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		began := time.Now()
		leader := concurrently(1, h, "/a")
		synctest.Wait()
		followers := concurrently(5, h, "/a")
		synctest.Wait()
		o.expectRuns(t, 1)
		close(gate)
		for range 5 {
			expect(t, <-followers, 200, missed, "follower")
		}
		expect(t, get(h, "/a"), 200, missed, "follower")
		expectNoTime(t, began)
		close(end)
		expect(t, <-leader, 200, stored, "one two")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "one two")
	})
}

// A client that doesn't read holds up its own request alone, whatever the length of the body.
func TestSlowClient(t *testing.T) {
	for name, body := range map[string]string{"short": "hello", "long": strings.Repeat("hello", 100_000)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				h := newCache(t, httpcache.Options{TTL: minute}).Handler(&origin{handler: func(w http.ResponseWriter, _ *http.Request) {
					for part := range slices.Chunk([]byte(body), 1000) {
						_, _ = w.Write(part)
					}
				}})
				slow := httptest.NewRecorder()
				left := make(chan struct{})
				go func() {
					defer close(left)
					h.ServeHTTP(slowWriter{slow, gate}, request("GET", "/a"))
				}()
				synctest.Wait()
				began := time.Now()
				expect(t, get(h, "/a"), 200, "http; hit; ttl=60", body)
				expectNoTime(t, began)
				close(gate)
				<-left
				expect(t, slow, 200, stored, body)
			})
		})
	}
}

// One that streams to such a client holds up others only once, for a while.
func TestFollowersOfASlowStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		o := &origin{}
		o.handler = func(w http.ResponseWriter, _ *http.Request) {
			if o.runs.Load() == 1 {
				<-gate
			}
			fmt.Fprint(w, "hello")
		}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		leader := concurrently(1, h, "/a")
		synctest.Wait()
		began := time.Now()
		for range 3 {
			expect(t, get(h, "/a"), 200, missed, "hello")
			if waited := time.Since(began); waited != 5*time.Second {
				t.Errorf("waited %v", waited)
			}
		}
		close(gate)
		expect(t, <-leader, 200, stored, "hello")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "hello")
	})
}

type slowWriter struct {
	http.ResponseWriter
	gate <-chan struct{}
}

func (w slowWriter) Write(p []byte) (int, error) {
	<-w.gate
	return w.ResponseWriter.Write(p)
}

// Once a response turned out not to be storable, nobody waits for the next ones. The first that can be stored is.
func TestRefusalIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var private atomic.Bool
		private.Store(true)
		o := &origin{}
		o.handler = func(w http.ResponseWriter, _ *http.Request) {
			if private.Load() {
				w.Header().Set("Cache-Control", "private")
			}
			if o.runs.Load() > 1 {
				<-gate
			}
			fmt.Fprint(w, "hello")
		}
		c := newCache(t, httpcache.Options{TTL: minute})
		h := c.Handler(o)
		expect(t, get(h, "/a"), 200, missed, "hello")
		synctest.Wait()
		answers := concurrently(5, h, "/a")
		synctest.Wait()
		o.expectRuns(t, 6) // all at once
		close(gate)
		for range 5 {
			expect(t, <-answers, 200, missed, "hello")
		}
		private.Store(false)
		synctest.Wait()
		expect(t, get(h, "/a"), 200, stored, "hello")
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", "hello")
		o.expectRuns(t, 7)
	})
}

// What says nothing about the next response isn't remembered: requests wait for each other as before.
func TestAccidentIsNotRemembered(t *testing.T) {
	for name, fail := range map[string]func(w http.ResponseWriter){
		"500":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"too short": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "10") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				o := &origin{}
				o.handler = func(w http.ResponseWriter, _ *http.Request) {
					if o.runs.Load() == 1 {
						fail(w)
						return
					}
					<-gate
					fmt.Fprint(w, "hello")
				}
				h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
				get(h, "/a")
				synctest.Wait()
				answers := concurrently(5, h, "/a")
				synctest.Wait()
				o.expectRuns(t, 2)
				close(gate)
				for range 5 {
					if w := <-answers; w.Body.String() != "hello" {
						t.Errorf("%v, %q", w.Header(), w.Body)
					}
				}
			})
		})
	}
}

// What can't be stored any more isn't kept either.
func TestOverdueBodyIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const runs, size = 10, 4 << 20
		part := make([]byte, size)
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute) // longer than a load may take
			_, _ = w.Write(part)
			<-r.Context().Done()
		}}
		h := newCache(t, httpcache.Options{TTL: time.Hour}).Handler(o)
		before := heap()
		for i := range runs {
			go h.ServeHTTP(nowhere{}, request("GET", fmt.Sprint("/", i)).WithContext(t.Context()))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if kept := heap() - before; kept > 2*size {
			t.Errorf("%d MiB are kept of %d MiB", kept>>20, runs*size>>20)
		}
	})
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// nowhere is a client's connection that keeps nothing.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
