package httpcache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Callers that read, close, or leave at any time get what the origin has for their URL and their credentials, or their own context's error.
func TestTransportCrowd(t *testing.T) {
	const pages, limit = 12, 40 << 10
	page := func(n int, user string) string {
		return strings.Repeat(fmt.Sprint(n, user, " "), 1+n*800)
	}
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		w.Header().Set("Cache-Control", []string{"max-age=1", "private, max-age=0", "no-store", "max-age=0, stale-while-revalidate=9"}[n%4])
		w.Header().Set("Etag", fmt.Sprintf(`"%d"`, n))
		body := page(n, r.Header.Get("Authorization"))
		if n%3 == 0 {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		for ; len(body) > 5000; body = body[5000:] {
			_, _ = io.WriteString(w, body[:5000])
			w.(http.Flusher).Flush()
		}
		_, _ = io.WriteString(w, body)
	}}
	c := client(t, newCache(t, httpcache.Options{Private: true, MaxBody: limit, Logger: silent()}))
	url := startOrigin(t, o).URL
	call := func(random *rand.Rand) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		leaves := random.IntN(4) == 0
		if leaves {
			time.AfterFunc(time.Duration(random.IntN(2000))*time.Microsecond, cancel)
		}
		n, user := random.IntN(pages), strconv.Itoa(random.IntN(2))
		r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprint(url, "?page=", n), nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", user)
		res, err := c.Do(r)
		if err != nil {
			if leaves && ctx.Err() != nil {
				return nil
			}
			return err
		}
		defer res.Body.Close()
		want := page(n, user)
		if random.IntN(4) == 0 {
			want = want[:random.IntN(len(want))]
		}
		got := make([]byte, len(want))
		switch read, err := io.ReadFull(res.Body, got); {
		case string(got[:read]) != want[:read]:
			return fmt.Errorf("page %d of %s: another body", n, user)
		case err != nil && (!leaves || ctx.Err() == nil):
			return fmt.Errorf("page %d of %s: %d bytes, then %w", n, user, read, err)
		}
		return nil
	}
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
			for range 60 {
				if err := call(random); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	t.Logf("%d requests reached the origin", o.runs.Load())
}

// What a Handler answers to a request with some Host isn't what a Transport gets from that host, though they share a cache. A Purge of the
// URL removes both.
func TestTransportBesideHandler(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: minute})
	h := cache.Handler(text("of this process"))
	c := &http.Client{Transport: cache.Transport(direct{text("of the API")})}
	const url = "http://api.example/users"
	for _, cacheStatus := range []string{stored, hit, stored} {
		if got := get(h, url); got.Body.String() != "of this process" || !strings.HasPrefix(got.Header().Get("Cache-Status"), cacheStatus) {
			t.Errorf("the handler: %v, %s", got.Header(), got.Body)
		}
		expectFetched(t, send(t, c, "GET", url), 200, cacheStatus, "of the API")
		if cacheStatus == hit {
			if err := cache.Purge(t.Context(), request("GET", url)); err != nil {
				t.Error(err)
			}
		}
	}
}

// Callers wait for a slow origin. If its response isn't complete after the time of a load, each asks it.
func TestTransportSlowOrigin(t *testing.T) {
	for _, tc := range []struct {
		takes time.Duration
		runs  int64
	}{{20 * time.Second, 1}, {time.Minute, 5}} {
		synctest.Test(t, func(t *testing.T) {
			o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(tc.takes)
				w.Header().Set("Cache-Control", "max-age=60")
				_, _ = io.WriteString(w, "hello")
			}}
			rt := newCache(t, httpcache.Options{Private: true, Logger: silent()}).Transport(direct{o})
			for _, ch := range startAll(t.Context(), 5, rt) {
				if r := <-ch; r.body != "hello" || r.err != nil {
					t.Errorf("%+v", r)
				}
			}
			o.expectRuns(t, tc.runs)
		})
	}
}

// A closed cache lets requests pass.
func TestTransportClosed(t *testing.T) {
	cache := newCache(t, httpcache.Options{Private: true})
	o := text("hello", "Cache-Control", "max-age=60")
	c := &http.Client{Transport: cache.Transport(direct{o})}
	send(t, c, "GET", api)
	if err := cache.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if f := send(t, c, "GET", api); f.body != "hello" {
			t.Errorf("%v", f.Header)
		}
	}
	o.expectRuns(t, 3)
}

// Callers in several processes share one request to the origin.
func TestTransportProcessesShare(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := newGated("private, max-age=60")
	var callers []<-chan result
	for range 3 {
		rt := newCache(t, httpcache.Options{Private: true, Redis: connect(t, server)}).Transport(direct{o})
		for range 5 {
			callers = append(callers, start(t.Context(), rt, "Authorization", "alice"))
		}
	}
	close(o.gate)
	for _, ch := range callers {
		if r := <-ch; r.body != "hello" || r.err != nil {
			t.Errorf("%+v", r)
		}
	}
	o.expectRuns(t, 1)
}

// A POST's response is stored for later GETs only with StorePosts. Its body is closed, whoever leaves.
func TestTransportPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newGated("private, max-age=60")
		answer := o.handler
		o.handler = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Location", r.URL.Path)
			answer(w, r)
		}
		rt := newCache(t, httpcache.Options{Private: true, StorePosts: true}).Transport(direct{o})
		post := func(ctx context.Context) (*http.Response, *checkedBody, error) {
			body := &checkedBody{Reader: strings.NewReader("x")}
			r, _ := http.NewRequestWithContext(ctx, "POST", api, body)
			res, err := rt.RoundTrip(r)
			return res, body, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, body, err := post(ctx)
		if synctest.Wait(); !errors.Is(err, context.DeadlineExceeded) || !body.closed.Load() {
			t.Errorf("%v, closed: %v", err, body.closed.Load())
		}
		close(o.gate)
		res, body, err := post(t.Context())
		if err != nil || !body.closed.Load() {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "hello" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		expectFetched(t, send(t, &http.Client{Transport: rt}, "GET", api), 200, hit, "hello")
	})
}
