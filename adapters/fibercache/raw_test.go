package fibercache_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/rawtest"
)

// A server with a cache answers any bytes as one without, but for what HTTP permits a cache: two requests that a handler can
// tell apart never share a response.
func FuzzRawRequests(f *testing.F) {
	cache := newCache(f, httpcache.Options{Logger: slog.New(slog.DiscardHandler)})
	p := &rawtest.Pair{}
	p.Cached = serveRaw(fibercache.New(cache), reveal(p.AnswerCached))
	p.Bare = serveRaw(func(c fiber.Ctx) error { return c.Next() }, reveal(p.AnswerBare))
	p.Clear = func() {
		if err := cache.Clear(context.Background()); err != nil {
			panic(err)
		}
	}
	for _, pair := range rawtest.Seeds() {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if why := p.Check(first, second); why != "" {
			t.Error(why)
		}
	})
}

// reveal is a handler that answers with what it sees of a request.
func reveal(answer func(*rawtest.Seen) rawtest.Answer) fiber.Handler {
	return func(c fiber.Ctx) error {
		seen := &rawtest.Seen{
			Method: string([]byte(c.Method())), Target: string([]byte(c.OriginalURL())), URL: c.BaseURL() + "/",
			Host: string([]byte(c.Host())), HostField: string([]byte(c.Get("Host"))), Path: string([]byte(c.Path())), Query: string(c.Request().URI().QueryString()),
			Body: string(c.Request().Body()), Header: make(http.Header),
		}
		for name, value := range c.Request().Header.All() {
			seen.Header.Add(string(name), string(value))
		}
		a := answer(seen)
		for _, field := range a.Fields {
			c.Set(field[0], field[1])
		}
		return c.SendString(a.Body)
	}
}

// serveRaw has an app of the handlers answer connections. Of requests that are refused only the first one hears.
func serveRaw(middleware, handler fiber.Handler) func(*rawtest.Conn) {
	app := fiber.New()
	app.Use(middleware)
	app.All("/*", handler)
	app.Handler() // makes the server's
	return func(c *rawtest.Conn) { _ = app.Server().ServeConn(c) }
}
