package fibercache_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps the Date field in a goroutine that never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Nor do these of Fiber's own cache middleware, which the benchmarks compare with.
		goleak.IgnoreAnyFunction("github.com/gofiber/utils/v2.StartTimeStampUpdater.func1"),
		goleak.IgnoreAnyFunction("github.com/gofiber/fiber/v3/internal/memory.(*Storage).gc"),
		// Nor do those that compress.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp/stackless.funcWorker"),
		// A server's pool notices up to ten seconds later that it was stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

const (
	stored = "http; fwd=uri-miss; stored"
	missed = "http; fwd=uri-miss"
	bypass = "http; fwd=bypass"
)

// newCache makes a cache that is closed with the test.
func newCache(t testing.TB, o httpcache.Options) *httpcache.Cache {
	t.Helper()
	c, err := httpcache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// origin is a handler that counts its runs.
type origin struct {
	runs    atomic.Int64
	handler fiber.Handler
}

func (o *origin) serve(c fiber.Ctx) error {
	o.runs.Add(1)
	return o.handler(c)
}

func (o *origin) expectRuns(t testing.TB, want int64) {
	t.Helper()
	if got := o.runs.Load(); got != want {
		t.Errorf("the handler ran %d times, want %d", got, want)
	}
}

// server is a Fiber app on loopback.
type server struct {
	t      testing.TB
	url    string
	client *http.Client
}

// listen serves the handlers, one after the other, for every path.
func listen(t testing.TB, handlers ...fiber.Handler) *server {
	t.Helper()
	app := fiber.New()
	for _, h := range handlers[:len(handlers)-1] {
		app.Use(h)
	}
	app.All("/*", handlers[len(handlers)-1])
	return start(t, app)
}

func start(t testing.TB, app *fiber.App) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, app, ln)
}

func startOn(t testing.TB, app *fiber.App, ln net.Listener) *server {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- app.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true}) }()
	transport := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 100, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := app.ShutdownWithTimeout(10 * time.Second); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &server{t: t, url: "http://" + ln.Addr().String(), client: client}
}

// cached serves a handler behind the cache.
func cached(t testing.TB, o httpcache.Options, h fiber.Handler) *server {
	t.Helper()
	return listen(t, fibercache.New(newCache(t, o)), h)
}

type answer struct {
	status int
	header http.Header
	body   string
	length int64
}

func (s *server) send(method, target string, fields ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body), res.ContentLength}
}

func (s *server) get(target string, fields ...string) answer {
	s.t.Helper()
	return s.send(http.MethodGet, target, fields...)
}

// newRecorder runs a net/http handler, as a server does that is sent a URL's path.
func newRecorder(h http.Handler, address string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.RequestURI = r.URL.RequestURI()
	h.ServeHTTP(w, r)
	return w
}

// expect checks an answer's status, the beginning of its Cache-Status, and its body.
func (a answer) expect(t testing.TB, status int, cacheStatus, body string) {
	t.Helper()
	got := a.header.Get("Cache-Status")
	if a.status != status || len(got) < len(cacheStatus) || got[:len(cacheStatus)] != cacheStatus || a.body != body {
		t.Errorf("%d, %q, %.100q, want %d, %q, %.100q", a.status, got, a.body, status, cacheStatus, body)
	}
}
