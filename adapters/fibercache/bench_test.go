package fibercache_test

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	fibers "github.com/gofiber/fiber/v3/middleware/cache"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// impl is an app that answers with the same body, status and, as far as it can, header fields as the others.
type impl struct {
	name string
	app  *fiber.App
}

// newImpls are a handler that has its bytes ready, the same behind the cache, and behind Fiber's own middleware, which
// adds X-Cache, and no Cache-Status. The first sends what the second does, Cache-Status and Age included.
func newImpls(b *testing.B, length int, fields ...string) []impl {
	body := bytes.Repeat([]byte("x"), length)
	origin := func(c fiber.Ctx) error {
		c.Set("Content-Type", "application/json")
		c.Set("Cache-Control", "max-age=3600")
		c.Set("Etag", `"3c59dc048e885"`)
		return c.Send(body)
	}
	impls := []impl{{"bare", fiber.New()}, {"fibercache", fiber.New()}, {"fiber", fiber.New()}}
	impls[1].app.Get("/users", fibercache.New(newCache(b, httpcache.Options{})), origin)
	impls[2].app.Get("/users", fibers.New(fibers.Config{MaxBytes: 64 << 20, StoreResponseHeaders: true, Expiration: time.Hour}), origin)

	s := start(b, impls[1].app)
	s.get("/users")
	hit := s.get("/users", fields...)
	if !strings.Contains(hit.header.Get("Cache-Status"), "; hit") {
		b.Fatalf("not a hit: %v", hit.header)
	}
	impls[0].app.Get("/users", func(c fiber.Ctx) error {
		for name, values := range hit.header {
			c.Set(name, values[0])
		}
		c.Status(hit.status)
		if hit.status == http.StatusNotModified {
			return nil
		}
		return c.Send(body)
	})
	return impls
}

// BenchmarkHit is a hit of 3 and of 300 KB, as a call and over a connection.
func BenchmarkHit(b *testing.B) {
	for _, size := range []struct {
		name   string
		length int
	}{{"3KB", 3 << 10}, {"300KB", 300 << 10}} {
		b.Run("size="+size.name, func(b *testing.B) { compare(b, newImpls(b, size.length), http.StatusOK) })
	}
}

// BenchmarkNotModified is a client that has the response already. Fiber's middleware doesn't look what a client has.
func BenchmarkNotModified(b *testing.B) {
	fields := []string{"If-None-Match", `"3c59dc048e885"`}
	compare(b, newImpls(b, 3<<10, fields...)[:2], http.StatusNotModified, fields...)
}

func compare(b *testing.B, impls []impl, status int, fields ...string) {
	raw := "GET /users?skip=0&limit=20 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
	for i := 0; i < len(fields); i += 2 {
		raw += fields[i] + ": " + fields[i+1] + "\r\n"
	}
	raw += "\r\n"
	for _, impl := range impls {
		b.Run("over=call/impl="+impl.name, func(b *testing.B) { call(b, impl.app, raw, status) })
	}
	for _, impl := range impls {
		b.Run("over=loopback/impl="+impl.name, func(b *testing.B) { fetch(b, impl.app, raw, status) })
	}
}

func call(b *testing.B, app *fiber.App, raw string, status int) {
	var ctx fasthttp.RequestCtx
	if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
		b.Fatal(err)
	}
	handler := app.Handler()
	handler(&ctx)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Header.Reset() // the body's buffer stays, as it does in a server
		handler(&ctx)
	}
	if got := ctx.Response.StatusCode(); got != status {
		b.Fatalf("status %d, want %d", got, status)
	}
}

// fetch sends the request over one connection that stays open. The client does next to nothing, for what it costs is
// part of what is measured.
func fetch(b *testing.B, app *fiber.App, raw string, status int) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(start(b, app).url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request, in := []byte(raw), bufio.NewReaderSize(conn, 64<<10)
	send := func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
	}
	send()
	first, err := http.ReadResponse(in, nil)
	if err != nil || first.StatusCode != status {
		b.Fatalf("%v, %v, want status %d", first, err, status)
	}
	if _, err := in.Discard(int(max(0, first.ContentLength))); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		send()
		if err := skip(in, int(max(0, first.ContentLength))); err != nil {
			b.Fatal(err)
		}
	}
}

// skip reads a head, and a body of the length.
func skip(in *bufio.Reader, length int) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == len("\r\n") {
			_, err = in.Discard(length)
			return err
		}
	}
}
