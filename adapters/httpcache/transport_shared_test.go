package httpcache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// gated is an origin that waits until it may answer, or the request's context ends.
type gated struct {
	origin
	gate chan struct{}
}

func newGated(control string) *gated {
	o := &gated{gate: make(chan struct{})}
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-o.gate:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Cache-Control", control)
		_, _ = io.WriteString(w, "hello")
	}
	return o
}

// result is that of a concurrent request.
type result struct {
	body, cacheStatus string
	err               error
}

// start sends a request, and returns a channel for its result.
func start(ctx context.Context, rt http.RoundTripper, fields ...string) <-chan result {
	ch := make(chan result, 1)
	go func() {
		r, _ := http.NewRequestWithContext(ctx, "GET", api, nil)
		setFields(r.Header, fields)
		res, err := rt.RoundTrip(r)
		if err != nil {
			ch <- result{err: err}
			return
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		ch <- result{string(body), res.Header.Get("Cache-Status"), err}
	}()
	return ch
}

// startAll starts n requests, when the first one has reached the origin.
func startAll(ctx context.Context, n int, rt http.RoundTripper, fields ...string) (list []<-chan result) {
	for range n {
		list = append(list, start(ctx, rt, fields...))
		synctest.Wait()
	}
	return list
}

// Concurrent callers share one request to the origin, if its response may be stored.
func TestTransportCollapses(t *testing.T) {
	for _, tc := range []struct {
		control string
		private bool
		fields  []string
		runs    int64
	}{
		{"max-age=60", true, nil, 1}, {"max-age=60", true, []string{"Authorization", "alice"}, 1}, {"no-store", true, nil, 10},
		{"max-age=60", false, nil, 1}, {"max-age=60", false, []string{"Authorization", "alice"}, 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newGated(tc.control)
			rt := newCache(t, httpcache.Options{Private: tc.private}).Transport(direct{o})
			callers := startAll(t.Context(), 10, rt, tc.fields...)
			close(o.gate)
			for _, ch := range callers {
				if r := <-ch; r.body != "hello" || r.err != nil {
					t.Errorf("%+v", r)
				}
			}
			o.expectRuns(t, tc.runs)
		})
	}
}

// A caller that leaves gets its context's cause at once. The others get their response of the same request to the origin.
func TestTransportCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGated("max-age=60")
		rt := newCache(t, httpcache.Options{Private: true}).Transport(direct{o})
		ctx, cancel := context.WithCancelCause(t.Context())
		first := startAll(ctx, 1, rt)[0]
		others := startAll(t.Context(), 3, rt)
		second, leave := context.WithCancel(t.Context())
		other := startAll(second, 1, rt)[0]
		cancel(errDown)
		leave()
		if r := <-first; !errors.Is(r.err, errDown) {
			t.Errorf("the first: %+v", r)
		}
		if r := <-other; !errors.Is(r.err, context.Canceled) {
			t.Errorf("another: %+v", r)
		}
		synctest.Wait()
		close(o.gate)
		for _, ch := range others {
			if r := <-ch; r.body != "hello" || r.err != nil {
				t.Errorf("%+v", r)
			}
		}
		o.expectRuns(t, 1)
	})
}

// When the last caller has left, the request to the origin is cancelled.
func TestTransportAllLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan error, 1)
		rt := newCache(t, httpcache.Options{Private: true}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			over <- context.Cause(r.Context())
			return nil, r.Context().Err()
		}))
		one, leaveOne := context.WithCancelCause(t.Context())
		two, leaveTwo := context.WithCancelCause(t.Context())
		first, second := startAll(one, 1, rt)[0], startAll(two, 1, rt)[0]
		leaveOne(errDown)
		<-first
		synctest.Wait()
		select {
		case err := <-over:
			t.Fatalf("it was cancelled while a caller waited: %v", err)
		default:
		}
		leaveTwo(errDown)
		<-second
		if err := <-over; !errors.Is(err, errDown) {
			t.Errorf("cancelled by %v", err)
		}
		// A new caller isn't affected.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if r := <-start(ctx, rt); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("%+v", r)
		}
	})
}

// An error of next is that of all callers that waited for it, and not of the next one.
func TestTransportSharesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, runs := make(chan struct{}), 0
		rt := newCache(t, httpcache.Options{Private: true}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			if runs++; runs == 1 {
				<-gate
				return nil, errDown
			}
			return direct{text("hello")}.RoundTrip(r)
		}))
		callers := startAll(t.Context(), 10, rt)
		close(gate)
		for _, ch := range callers {
			if r := <-ch; r.err != errDown {
				t.Errorf("%+v", r)
			}
		}
		if r := <-start(t.Context(), rt); r.body != "hello" || runs != 2 {
			t.Errorf("then %+v, after %d runs", r, runs)
		}
	})
}

// A body that its caller closes, or leaves half-read and cancelled after that, is stored all the same.
func TestTransportCloseEarly(t *testing.T) {
	body := strings.Repeat("x", 100<<10)
	gate := make(chan struct{})
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, body[:1000])
		w.(http.Flusher).Flush()
		<-gate
		_, _ = io.WriteString(w, body[1000:])
	}}
	c := client(t, newCache(t, httpcache.Options{Private: true}))
	url := startOrigin(t, o).URL
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	cancel()
	close(gate)
	f := send(t, c, "GET", url)
	if f.body != body || !strings.Contains(f.Header.Get("Cache-Status"), "collapsed") && !strings.Contains(f.Header.Get("Cache-Status"), "hit") {
		t.Errorf("%d bytes, %v", len(f.body), f.Header)
	}
	o.expectRuns(t, 1)
}

// A context that ends while its body is read ends the body, too.
func TestTransportCancelledBody(t *testing.T) {
	for _, control := range []string{"max-age=60", "no-store"} {
		over := make(chan struct{})
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", control)
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(over)
		}}
		c := client(t, newCache(t, httpcache.Options{Private: true}))
		ctx, cancel := context.WithCancelCause(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", startOrigin(t, o).URL, nil)
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(res.Body, make([]byte, 5))
		cancel(errDown)
		if _, err := io.ReadAll(res.Body); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", control, err)
		}
		_ = res.Body.Close()
		<-over // the origin notices
	}
}

// A background run has the values of the caller's context, but doesn't end with it.
func TestTransportBackgroundContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var seen []any
		rt := newCache(t, httpcache.Options{Private: true}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			seen = append(seen, r.Context().Value(key{}), r.Context().Err())
			return direct{text("hello", "Cache-Control", "max-age=10, stale-while-revalidate=60")}.RoundTrip(r)
		}))
		for i := range 2 {
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, i))
			<-start(ctx, rt)
			cancel()
			time.Sleep(20 * time.Second)
			synctest.Wait()
		}
		if fmt.Sprint(seen) != "[0 <nil> 1 <nil>]" {
			t.Errorf("%v", seen)
		}
	})
}

// Transports of one Name share responses through Redis, each user's own. Without Redis each works by itself.
func TestTransportRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := text("hello", "Cache-Control", "private, max-age=60")
	url := startOrigin(t, o).URL
	first := client(t, newCache(t, httpcache.Options{Private: true, Redis: connect(t, server)}))
	second := client(t, newCache(t, httpcache.Options{Private: true, Redis: connect(t, server)}))
	expectFetched(t, send(t, first, "GET", url, "Authorization", "alice"), 200, stored, "hello")
	expectFetched(t, send(t, second, "GET", url, "Authorization", "alice"), 200, hit, "hello")
	expectFetched(t, send(t, second, "GET", url, "Authorization", "bob"), 200, stored, "hello")
	o.expectRuns(t, 2)
	send(t, first, "DELETE", url, "Authorization", "alice")
	other := client(t, newCache(t, httpcache.Options{Private: true, Redis: connect(t, server)}))
	expectFetched(t, send(t, other, "GET", url, "Authorization", "alice"), 200, stored, "hello")
	expectFetched(t, send(t, other, "GET", url, "Authorization", "bob"), 200, hit, "hello")

	third := client(t, newCache(t, httpcache.Options{Private: true, Redis: connectWithin(t, server, 20*time.Millisecond)}))
	server.Kill()
	expectFetched(t, send(t, third, "GET", url+"/b"), 200, stored, "hello")
	expectFetched(t, send(t, third, "GET", url+"/b"), 200, hit, "hello")
}
