package mounts_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	gincors "github.com/gin-contrib/cors"
	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/compress"
	fibercors "github.com/gofiber/fiber/v3/middleware/cors"
	fiberrecover "github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gorilla/handlers"
	"github.com/klauspost/compress/gzhttp"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5middleware "github.com/labstack/echo/v5/middleware"
	"github.com/rs/cors"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// compressor is a server whose responses are compressed, by middleware inside or outside the cache, with CORS around everything.
type compressor struct {
	name   string
	silent bool // it sets Vary: Accept-Encoding only if it compresses
	early  bool // it sets Content-Encoding before the next handler runs
	serve  func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string
}

// long is long enough to be compressed.
var long = strings.Repeat("hello, compressors. ", 200)

func longPage(fields []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		if tag := w.Header().Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if r.Header.Get("X-Break") != "" {
			_, _ = io.WriteString(w, long[:len(long)/2])
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, long)
	}
}

// compressed is a compressor of net/http.
func compressed(by layer) func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string {
	return func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string {
		layers := append([]layer{cors.New(cors.Options{AllowedOrigins: origins}).Handler}, order(c, inside, cacheLayer, by)...)
		return listen(t, wrap(longPage(fields), layers)).URL
	}
}

// order returns the cache, if there is one, and the compressor in their order.
func order[M any](c *httpcache.Cache, inside bool, cache func(*httpcache.Cache) M, by M) []M {
	switch {
	case c == nil:
		return []M{by}
	case inside:
		return []M{cache(c), by}
	}
	return []M{by, cache(c)}
}

var compressors = []compressor{
	{"chi", true, false, compressed(middleware.Compress(5))},
	{"gorilla", false, true, compressed(handlers.CompressHandler)},
	{"gzhttp", false, false, compressed(func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) })},
	{"gin", true, true, func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string {
		e := gin.New()
		e.Use(gincors.New(gincors.Config{AllowOrigins: origins, AllowMethods: []string{"GET"}}))
		e.Use(order(c, inside, ginCache, gingzip.Gzip(gingzip.DefaultCompression))...)
		e.GET("/", gin.WrapH(longPage(fields)))
		return listen(t, e).URL
	}},
	{"echo v4", false, false, func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string {
		e := newEcho4()
		e.Use(echo4middleware.CORSWithConfig(echo4middleware.CORSConfig{AllowOrigins: origins}))
		cache := func(c *httpcache.Cache) echo4.MiddlewareFunc { return echo4.WrapMiddleware(c.Handler) }
		e.Use(order(c, inside, cache, echo4middleware.Gzip())...)
		e.GET("/", echo4.WrapHandler(longPage(fields)))
		return listen(t, e).URL
	}},
	{"echo v5", false, false, func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string {
		e := newEcho5()
		e.Use(echo5middleware.CORSWithConfig(echo5middleware.CORSConfig{AllowOrigins: origins}))
		cache := func(c *httpcache.Cache) echo5.MiddlewareFunc { return echo5.WrapMiddleware(c.Handler) }
		e.Use(order(c, inside, cache, echo5middleware.Gzip())...)
		e.GET("/", echo5.WrapHandler(longPage(fields)))
		return listen(t, e).URL
	}},
	{"Fiber", false, false, func(t *testing.T, c *httpcache.Cache, inside bool, fields ...string) string {
		app := fiber.New()
		app.Use(fiberrecover.New(), fibercors.New(fibercors.Config{AllowOrigins: origins}))
		for _, h := range order(c, inside, fibercache.New, compress.New()) {
			app.Use(h)
		}
		app.Get("/", func(c fiber.Ctx) error {
			for i := 0; i < len(fields); i += 2 {
				c.Set(fields[i], fields[i+1])
			}
			if tag := c.GetRespHeader("ETag"); tag != "" && c.Get("If-None-Match") == tag {
				return c.SendStatus(fiber.StatusNotModified)
			}
			if c.Get("X-Break") != "" {
				_, _ = c.WriteString(long[:len(long)/2])
				panic("half a page")
			}
			return c.SendString(long)
		})
		return listenFiber(t, app)
	}},
}

// accepting returns the fields of a request.
func accepting(coding, origin string, more ...string) (fields []string) {
	for name, value := range map[string]string{"Accept-Encoding": coding, "Origin": origin} {
		if value != "" {
			fields = append(fields, name, value)
		}
	}
	return append(fields, more...)
}

// decoded returns the body without its coding.
func decoded(t *testing.T, a answer) string {
	t.Helper()
	switch a.header.Get("Content-Encoding") {
	case "":
		return a.body
	case "gzip":
		r, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Errorf("%v: %v", a.header, err)
			return ""
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Errorf("%v: %v", a.header, err)
		}
		return b.String()
	}
	t.Errorf("Content-Encoding %q", a.header.Get("Content-Encoding"))
	return ""
}

// Each client gets its coding, whichever came first. The second response is a hit, and the same as the miss.
func TestCompressorsInside(t *testing.T) {
	for _, m := range compressors {
		for _, o := range []struct {
			name    string
			options httpcache.Options
		}{{"as sent", httpcache.Options{}}, {"Encodings", httpcache.Options{Encodings: []string{"gzip"}}}} {
			for _, first := range []string{"gzip", ""} {
				t.Run(fmt.Sprintf("%s, %s, first %q", m.name, o.name, first), func(t *testing.T) {
					t.Parallel()
					testCompressor(t, m, o.options, first)
				})
			}
		}
	}
}

func testCompressor(t *testing.T, m compressor, o httpcache.Options, first string) {
	fields := []string{"Cache-Control", "max-age=60"}
	cached, plain := m.serve(t, newCache(t, o), true, fields...), m.serve(t, nil, true, fields...)
	client := newClient(t)
	codings := []string{first, "gzip", ""}
	// A response without Vary is served to all clients (RFC 9111 §4.1), until one with Vary is stored.
	lost := m.silent && first == "" && len(o.Encodings) == 0
	for _, origin := range []string{"", origins[0], origins[1]} {
		for _, coding := range codings {
			request := accepting(coding, origin)
			got, want := get(t, client, cached, request...), get(t, client, plain, request...)
			again := get(t, client, cached, request...)
			name := fmt.Sprintf("Accept-Encoding %q, Origin %q", coding, origin)
			if decoded(t, got) != long || decoded(t, again) != long {
				t.Errorf("%s: another body", name)
			}
			if !strings.Contains(again.header.Get("Cache-Status"), "; hit") {
				t.Errorf("%s: no hit, %q and %q", name, got.header.Get("Cache-Status"), again.header.Get("Cache-Status"))
			}
			if got.body != again.body {
				t.Errorf("%s: %d bytes, and the second time %d", name, len(got.body), len(again.body))
			}
			for _, field := range []string{"Vary", "Content-Encoding", "Content-Type", "Etag", "Access-Control-Allow-Origin", "Cache-Control"} {
				g, w, a := members(got.header[field]), members(want.header[field]), members(again.header[field])
				switch {
				case !slices.Equal(g, a):
					t.Errorf("%s: %s is %q, and the second time %q", name, field, g, a)
				case field == "Etag", lost && coding != "" && (field == "Content-Encoding" || field == "Vary"):
				case !slices.Equal(g, w):
					t.Errorf("%s: %s is %q, without the cache %q", name, field, g, w)
				}
			}
		}
	}
}

// A handler's 304 freshens the stored response of the same coding.
func TestCompressorsRevalidated(t *testing.T) {
	for _, m := range compressors {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			url := m.serve(t, newCache(t, httpcache.Options{}), true, "Cache-Control", "no-cache", "ETag", `W/"its"`)
			client := newClient(t)
			for i := range 3 {
				for _, coding := range []string{"gzip", ""} {
					a := get(t, client, url, accepting(coding, origins[0])...)
					validated := strings.Contains(a.header.Get("Cache-Status"), "fwd-status=304")
					if a.status != http.StatusOK || decoded(t, a) != long || a.header.Get("Content-Encoding") != coding || validated != (i > 0) {
						t.Errorf("%q: %d, %v", coding, a.status, a.header)
					}
					a = get(t, client, url, accepting(coding, origins[0], "If-None-Match", a.header.Get("ETag"))...)
					if a.status != http.StatusNotModified || a.body != "" {
						t.Errorf("%q: %d, %v, %q", coding, a.status, a.header, a.body)
					}
				}
			}
		})
	}
}

// If the handler panics in the middle of the body, the compressor completes what it has begun. That isn't stored.
func TestCompressorsBroken(t *testing.T) {
	for _, m := range compressors {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			url := m.serve(t, newCache(t, httpcache.Options{}), true, "Cache-Control", "max-age=60")
			client := newClient(t)
			for _, coding := range []string{"gzip", ""} {
				_, _ = send(t, client, http.MethodGet, url, accepting(coding, "", "X-Break", "1")...)
				for range 2 {
					if a := get(t, client, url, accepting(coding, "")...); a.status != http.StatusOK || decoded(t, a) != long {
						t.Errorf("%q: %d, %v", coding, a.status, a.header)
					}
				}
			}
		})
	}
}

// A cache inside a compressor stores the uncompressed response. Its entity tag is weak, and so valid for both.
func TestCompressorsOutside(t *testing.T) {
	for _, m := range compressors {
		for name, fields := range map[string][]string{
			"the cache's tag":   {"Cache-Control", "max-age=60"},
			"the handler's tag": {"Cache-Control", "max-age=60", "ETag", `W/"its"`},
		} {
			t.Run(m.name+", "+name, func(t *testing.T) {
				t.Parallel()
				testCompressorOutside(t, m, fields)
			})
		}
	}
}

func testCompressorOutside(t *testing.T, m compressor, fields []string) {
	cached := m.serve(t, newCache(t, httpcache.Options{}), false, fields...)
	client := newClient(t)
	for range 2 {
		for _, coding := range []string{"", "gzip"} {
			a := get(t, client, cached, accepting(coding, origins[0])...)
			again := get(t, client, cached, accepting(coding, origins[0])...)
			for _, a := range []answer{a, again} {
				if decoded(t, a) != long || a.header.Get("Content-Encoding") != coding {
					t.Errorf("%q: %v", coding, a.header)
				}
			}
			if !strings.Contains(again.header.Get("Cache-Status"), "; hit") {
				t.Errorf("%q: %v isn't a hit", coding, again.header)
			}
			tag := again.header.Get("ETag")
			if !strings.HasPrefix(tag, "W/") {
				t.Fatalf("%q: the tag is %q", coding, tag)
			}
			if a := get(t, client, cached, accepting(coding, origins[0], "If-None-Match", tag)...); a.status != http.StatusNotModified || a.body != "" {
				t.Errorf("%q: %d, %v, %q", coding, a.status, a.header, a.body)
			}
			a = get(t, client, cached, accepting(coding, origins[0], "Range", "bytes=10-19", "If-Range", tag)...)
			if a.status != http.StatusOK || decoded(t, a) != long {
				t.Errorf("%q, If-Range: %d, %v", coding, a.status, a.header)
			}
			a = get(t, client, cached, accepting(coding, origins[0], "Range", "bytes=10-19")...)
			switch {
			case coding != "" && m.early:
				if a.status != http.StatusOK || decoded(t, a) != long {
					t.Errorf("%q, Range: a part of what is compressed, %d, %v", coding, a.status, a.header)
				}
			case a.status != http.StatusPartialContent || decoded(t, a) != long[10:20]:
				t.Errorf("%q, Range: %d, %v", coding, a.status, a.header)
			}
		}
	}
}
