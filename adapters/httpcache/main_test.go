package httpcache_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patientTests{m}) }

type patientTests struct{ *testing.M }

// Run waits once more for goroutines to end: net/http's server keeps a connection for half a second, about as long as goleak waits.
func (m patientTests) Run() int {
	code := m.M.Run()
	_ = goleak.Find() // VerifyTestMain reports what is still there then
	return code
}

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
	handler http.HandlerFunc
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.runs.Add(1)
	o.handler(w, r)
}

// expectRuns checks how often the handler ran so far.
func (o *origin) expectRuns(t testing.TB, want int64) {
	t.Helper()
	if got := o.runs.Load(); got != want {
		t.Errorf("the handler ran %d times, want %d", got, want)
	}
}

// text is an origin that answers with a body and header fields.
func text(body string, fields ...string) *origin {
	return &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		setFields(w.Header(), fields)
		_, _ = io.WriteString(w, body)
	}}
}

func setFields(h http.Header, fields []string) {
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
}

// request makes a request of "[METHOD ]target" and header fields.
func request(method, target string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	setFields(r.Header, fields)
	return r
}

// serve answers a request without a network, as a server would whose outermost handler h is.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	*r = *r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, &http.Server{Handler: h}))
	h.ServeHTTP(w, r)
	return w
}

// get answers a GET without a network.
func get(h http.Handler, target string, fields ...string) *httptest.ResponseRecorder {
	return serve(h, request(http.MethodGet, target, fields...))
}

// expect checks an answer's status, Cache-Status and body.
func expect(t testing.TB, w *httptest.ResponseRecorder, status int, cacheStatus, body string) {
	t.Helper()
	got := w.Header().Get("Cache-Status")
	if !strings.Contains(cacheStatus, "detail") { // why a response isn't stored is a test of its own
		got, _, _ = strings.Cut(got, "; detail=")
	}
	if w.Code != status || got != cacheStatus || w.Body.String() != body {
		t.Errorf("%d, %q, %.100q, want %d, %q, %.100q",
			w.Code, w.Header().Get("Cache-Status"), w.Body.String(), status, cacheStatus, body)
	}
}

const (
	stored = "http; fwd=uri-miss; stored"
	missed = "http; fwd=uri-miss"
	bypass = "http; fwd=bypass"
	minute = 60 * time.Second
)

// quiet is a log that nobody reads.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// silent is a logger that nobody reads.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }
