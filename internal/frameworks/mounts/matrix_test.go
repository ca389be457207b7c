package mounts_test

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// mounting is a way to put a cache in front of an application in one of the frameworks.
type mounting struct {
	framework, how string
	prefix         string     // of the application's paths
	recovery       []recovery // where the recovering middleware may be
	// serve serves the application on loopback, and returns its URL. If the cache is nil there is none.
	serve func(t *testing.T, a *app, s stack) string
}

// recovery is where the framework's middleware is that recovers from panics.
type recovery string

const (
	nowhere recovery = "nowhere"
	inside  recovery = "inside"  // the cache sees its response
	outside recovery = "outside" // the cache sees the panic
)

// stack is the middleware in front of the application.
type stack struct {
	cache    *httpcache.Cache
	recovery recovery
}

// arrange returns a framework's middleware in its order, the outermost first.
func arrange[M any](s stack, cache func(*httpcache.Cache) M, recoverer ...M) (list []M) {
	if s.recovery == outside {
		list = append(list, recoverer...)
	}
	if s.cache != nil {
		list = append(list, cache(s.cache))
	}
	if s.recovery == inside {
		list = append(list, recoverer...)
	}
	return list
}

// TestMatrix tests each way of mounting the cache in each framework, with each state that a response can be in.
func TestMatrix(t *testing.T) {
	for _, m := range slices.Concat(
		serveMuxMountings, chiMountings, humaMountings, echo4Mountings, echo5Mountings, ginMountings, gorillaMountings, httprouterMountings, fiberMountings, fiber2Mountings, fasthttpMountings,
	) {
		t.Run(m.framework+", "+m.how, func(t *testing.T) {
			t.Parallel()
			for _, state := range []struct {
				name string
				test func(t *testing.T, m mounting)
			}{
				{"miss", testMiss}, {"hit", testHit}, {"behind", testBehind}, {"304", testNotModified}, {"private", testPrivate},
				{"purge", testPurge}, {"panic", testPanic}, {"stream", testStream},
			} {
				t.Run(state.name, func(t *testing.T) { state.test(t, m) })
			}
		})
	}
}

// app is the application. The path of a page has a kind and an id.
type app struct {
	runs  atomic.Int64
	fails atomic.Bool   // pages of some kinds panic
	gate  chan struct{} // a stream waits for it before its second part, unless it is nil
}

// page is a response of the application.
type page struct {
	status int
	fields []string
	parts  []string // of the body
	panics bool     // after these were written
}

const text = "text/plain; charset=utf-8"

func (a *app) page(method, kind, id string, header func(name string) string) page {
	run := a.runs.Add(1)
	p := page{status: http.StatusOK, fields: []string{"Content-Type", text, "X-Page", id}, parts: []string{kind + " " + id}}
	says := func(fields ...string) { p.fields = append(p.fields, fields...) }
	if method == http.MethodPost {
		p.parts = []string{"changed"}
		return p
	}
	switch kind {
	case "fresh":
		says("Cache-Control", "max-age=60", "Cache-Tag", "pages", "Vary", "Accept-Encoding")
	case "never":
		says("Cache-Control", "no-store")
	case "behind":
		says("Cache-Control", "max-age=0, stale-while-revalidate=60")
		p.parts = []string{kind + " " + id + ", run ", fmt.Sprint(run)}
	case "tagged":
		tag := `"` + id + `"`
		says("Cache-Control", "no-cache", "ETag", tag)
		if header("If-None-Match") == tag {
			p.status, p.parts = http.StatusNotModified, nil
		}
	case "private":
		says("Cache-Control", "private")
		p.parts = []string{header("X-User")}
	case "failing":
		says("Cache-Control", "max-age=0, stale-if-error=60")
		if p.panics = a.fails.Load(); p.panics {
			p.fields, p.parts = nil, nil
		}
	case "half", "broken":
		if says("Cache-Control", "max-age=60"); kind == "half" {
			says("Content-Length", "8")
		}
		if p.parts = []string{"half", "half"}; a.fails.Load() {
			p.parts, p.panics = p.parts[:1], true
		}
	case "stream":
		says("Cache-Control", "max-age=60")
		p.parts = []string{"one ", "two ", "three"}
	}
	return p
}

// part returns a part of a stream when the gate allows it.
func (a *app) part(p page, i int) string {
	if i == 1 && a.gate != nil {
		<-a.gate
	}
	return p.parts[i]
}

// answer writes a response on net/http. stream sends the parts in the framework's way.
func (a *app) answer(w http.ResponseWriter, r *http.Request, kind, id string, stream func(p page)) {
	p := a.page(r.Method, kind, id, r.Header.Get)
	if p.panics && len(p.parts) == 0 {
		panic("no page")
	}
	for i := 0; i < len(p.fields); i += 2 {
		w.Header().Add(p.fields[i], p.fields[i+1])
	}
	if kind == "stream" {
		stream(p)
		return
	}
	w.WriteHeader(p.status)
	for _, part := range p.parts {
		_, _ = io.WriteString(w, part)
	}
	if p.panics {
		panic("half a page")
	}
}

// serve is answer for frameworks without a way of their own to stream.
func (a *app) serve(w http.ResponseWriter, r *http.Request, kind, id string) {
	a.answer(w, r, kind, id, func(p page) {
		for i := range p.parts {
			_, _ = io.WriteString(w, a.part(p, i))
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		}
	})
}

// cell has a test's application with a cache, and the same one without it.
type cell struct {
	*testing.T
	app, uncached *app
	cache         *httpcache.Cache
	url, plain    string
	client        *http.Client
}

func newCell(t *testing.T, m mounting, r recovery) *cell {
	c := &cell{T: t, app: new(app), uncached: new(app)}
	c.cache = newCache(t, httpcache.Options{Logger: slog.New(slog.DiscardHandler)})
	c.url = m.serve(t, c.app, stack{c.cache, r}) + m.prefix
	c.plain = m.serve(t, c.uncached, stack{nil, r}) + m.prefix
	c.client = newClient(t) // it closes its connections before the servers wait for them
	return c
}

func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 50}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// send sends a request to the application behind the cache.
func (c *cell) send(method, path string, fields ...string) answer {
	c.Helper()
	a, err := send(c, c.client, method, c.url+path, fields...)
	if err != nil {
		c.Fatal(err)
	}
	return a
}

// same sends a request to both, checks that the responses are the same, and returns the one from the cached application.
func (c *cell) same(method, path string, fields ...string) answer {
	c.Helper()
	got := c.send(method, path, fields...)
	want, err := send(c, c.client, method, c.plain+path, fields...)
	if err != nil {
		c.Fatal(err)
	}
	c.alike(method+" "+path, got, want)
	return got
}

// alike checks that two responses are the same, except for fields of the cache and fields that depend on the time.
func (c *cell) alike(what string, got, want answer) {
	c.Helper()
	if got.status != want.status || got.body != want.body {
		c.Errorf("%s: %d, %q, want %d, %q", what, got.status, got.body, want.status, want.body)
	}
	if got.status == http.StatusNotModified { // a cache's has fewer fields (RFC 9110 §15.4.5)
		return
	}
	for _, a := range []*answer{&got, &want} {
		a.header = a.header.Clone()
		if tag := a.header.Get("ETag"); strings.HasPrefix(tag, "W/") {
			a.header.Del("ETag") // the cache's
		}
		for _, name := range []string{"Age", "Cache-Status", "Date", "Content-Length"} {
			a.header.Del(name)
		}
	}
	if !maps.EqualFunc(got.header, want.header, slices.Equal) {
		c.Errorf("%s: %v, want %v", what, got.header, want.header)
	}
}

// ran checks how often the application has run.
func (c *cell) ran(want int64) {
	c.Helper()
	if got := c.app.runs.Load(); got != want {
		c.Errorf("the application ran %d times, want %d", got, want)
	}
}

// status checks Cache-Status.
func (c *cell) status(a answer, want string) {
	c.Helper()
	if got := a.header.Get("Cache-Status"); !strings.Contains(got, want) {
		c.Errorf("Cache-Status is %q, want %q", got, want)
	}
}
