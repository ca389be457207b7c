package fibercache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/compress"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A body of which a net/http handler that Fiber's adaptor runs got a part only isn't stored: httputil.ReverseProxy returns there
// as if it were whole, and fasthttp sends the length that it has.
func TestBrokenProxy(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Query().Has("sized") {
			w.Header().Set("Content-Length", "5")
		}
		_, _ = io.WriteString(w, "hel")
		_ = http.NewResponseController(w).Flush()
		if r.Header.Get("X-Whole") == "" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "lo")
	}))
	defer origin.Close()
	u, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	transport := new(http.Transport)
	proxy.Transport = transport
	defer transport.CloseIdleConnections()
	// The adaptor's context belongs to a request that fasthttp reuses when the handler has flushed, while the handler still runs.
	detached := func(h http.Handler) fiber.Handler {
		return adaptor.HTTPHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r.WithContext(context.Background())) }))
	}
	for name, handlers := range map[string][]fiber.Handler{
		"the cache on Fiber":    {fibercache.New(newCache(t, httpcache.Options{})), detached(proxy)},
		"the cache on net/http": {detached(newCache(t, httpcache.Options{}).Handler(proxy))},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, handlers...)
			for i, query := range []string{"", "?sized"} {
				target := fmt.Sprint("/", i, query)
				for range 3 {
					if a := s.get(target); strings.Contains(a.header.Get("Cache-Status"), "hit") {
						t.Errorf("%s: a hit of %q", target, a.body)
					}
				}
				s.get(target, "X-Whole", "1").expect(t, 200, missed, "hello")
			}
			s.get("/1?sized").expect(t, 200, "http; hit", "hello") // what is whole is stored as ever
		})
	}
}

// A body that a compressor inside the cache has made shorter than its handler said is whole.
func TestCompressedBodyOfALength(t *testing.T) {
	page := bytes.Repeat([]byte("page "), 1000)
	s := listen(t, fibercache.New(newCache(t, httpcache.Options{})), compress.New(), adaptor.HTTPHandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain")
		h.Set("Cache-Control", "max-age=60")
		h.Set("Content-Length", fmt.Sprint(len(page)))
		_, _ = w.Write(page)
	}))
	for _, coding := range []string{"gzip", "br", "deflate", "zstd", "identity"} {
		first := s.get("/"+coding, "Accept-Encoding", coding)
		hit := s.get("/"+coding, "Accept-Encoding", coding)
		hit.expect(t, 200, "http; hit", first.body)
	}
}

// The hints of a miss go out at once. A hit has none.
func TestEarlyHints(t *testing.T) {
	s := listen(t, fibercache.New(newCache(t, httpcache.Options{})), func(c fiber.Ctx) error {
		if err := c.SendEarlyHints([]string{"</a.css>; rel=preload"}); err != nil {
			return err
		}
		c.Response().Header.Del("Link")
		c.Set("Cache-Control", "max-age=60")
		return c.SendString("page")
	})
	const request = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
	for _, want := range []struct {
		interim int
		status  string
	}{{1, stored}, {0, "http; hit"}} {
		answers := s.rawAll(request)
		if len(answers) != want.interim+1 {
			t.Errorf("%d answers, want %d before the last", len(answers), want.interim)
		}
		if first := answers[0]; want.interim > 0 && (first.status != 103 || first.header.Get("Link") != "</a.css>; rel=preload") {
			t.Errorf("the first is %d, %v", first.status, first.header)
		}
		last := answers[len(answers)-1]
		if last.expect(t, 200, want.status, "page"); last.header.Get("Link") != "" {
			t.Errorf("the hints are stored: %v", last.header)
		}
	}
}
