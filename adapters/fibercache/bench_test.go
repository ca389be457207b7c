package fibercache_test

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func BenchmarkHandlerHit(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 3<<10)
	origin := func(c fiber.Ctx) error {
		c.Set("Content-Type", "application/json")
		return c.Send(body)
	}
	bare, cached := fiber.New(), fiber.New()
	bare.Get("/users", origin)
	cached.Get("/users", fibercache.New(newCache(b, httpcache.Options{TTL: time.Hour})), origin)
	for _, impl := range []struct {
		name    string
		handler fasthttp.RequestHandler
	}{
		{"bare", bare.Handler()},
		{"tiercache", cached.Handler()},
	} {
		b.Run("impl="+impl.name, func(b *testing.B) {
			const raw = "GET /users?skip=0&limit=20 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n"
			var ctx fasthttp.RequestCtx
			if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
				b.Fatal(err)
			}
			impl.handler(&ctx)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				impl.handler(&ctx)
			}
		})
	}
}
