package mounts_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	fiber2recover "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/fiber2cache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// serveUntilEnd serves on loopback until the test ends, and returns the URL.
func serveUntilEnd(t testing.TB, serve func(net.Listener) error, shutdown func() error) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	t.Cleanup(func() {
		if err := shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// writePage writes the application's page for a request.
func writePage(a *app, ctx *fasthttp.RequestCtx, kind, id string) {
	p := a.page(string(ctx.Method()), kind, id, func(name string) string { return string(ctx.Request.Header.Peek(name)) })
	if p.panics && len(p.parts) == 0 {
		panic("no page")
	}
	ctx.SetStatusCode(p.status)
	for i := 0; i < len(p.fields); i += 2 {
		ctx.Response.Header.Set(p.fields[i], p.fields[i+1])
	}
	if kind == "stream" {
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
			for i := range p.parts {
				_, _ = w.WriteString(a.part(p, i))
				_ = w.Flush()
			}
		})
		return
	}
	for _, part := range p.parts {
		_, _ = ctx.WriteString(part)
	}
	if p.panics {
		panic("half a page")
	}
}

// fiber2Layers lets the recovering middleware return a *fiber.Error, the only error that the cache treats as a server error.
func fiber2Layers(s stack) []fiber.Handler {
	toError := func(c *fiber.Ctx) error {
		if err := c.Next(); err != nil { // of the recovering middleware
			return fiber.ErrInternalServerError
		}
		return nil
	}
	return arrange(s, fiber2cache.New, toError, fiber2recover.New())
}

// onFiber2 returns the serve function of a mounting in an app.
func onFiber2(build func(app *fiber.App, layers []fiber.Handler, pages fiber.Handler)) func(t *testing.T, a *app, s stack) string {
	return func(t *testing.T, a *app, s stack) string {
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		build(app, fiber2Layers(s), func(c *fiber.Ctx) error {
			writePage(a, c.Context(), c.Params("kind"), c.Params("id"))
			return nil
		})
		return serveUntilEnd(t, app.Listener, app.Shutdown)
	}
}

var fiber2Mountings = []mounting{
	{"Fiber v2", "global", "", fiberRecovery, onFiber2(func(app *fiber.App, layers []fiber.Handler, pages fiber.Handler) {
		for _, l := range layers {
			app.Use(l)
		}
		app.All("/:kind/:id", pages)
	})},
	{"Fiber v2", "group", "/api", fiberRecovery, onFiber2(func(app *fiber.App, layers []fiber.Handler, pages fiber.Handler) {
		app.Group("/api", layers...).All("/:kind/:id", pages)
	})},
	{"Fiber v2", "per route", "", fiberRecovery, onFiber2(func(app *fiber.App, layers []fiber.Handler, pages fiber.Handler) {
		app.All("/:kind/:id", append(layers, pages)...)
	})},
	{"Fiber v2", "mounted sub-app", "/api", fiberRecovery, onFiber2(func(app *fiber.App, layers []fiber.Handler, pages fiber.Handler) {
		sub := fiber.New()
		for _, l := range layers {
			sub.Use(l)
		}
		sub.All("/:kind/:id", pages)
		app.Mount("/api", sub)
	})},
}

type fasthttpLayer = func(fasthttp.RequestHandler) fasthttp.RequestHandler

// recoverFasthttp answers a panic with a 500.
func recoverFasthttp(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if recover() != nil {
				ctx.Error("panic", fasthttp.StatusInternalServerError)
			}
		}()
		next(ctx)
	}
}

// onFasthttp returns the serve function of a mounting in a server. If inServer, background runs begin at the server's handler.
func onFasthttp(inServer bool) func(t *testing.T, a *app, s stack) string {
	return func(t *testing.T, a *app, s stack) string {
		server := &fasthttp.Server{}
		cache := func(c *httpcache.Cache) fasthttpLayer {
			if inServer {
				return fasthttpcache.New(c, server)
			}
			return fasthttpcache.New(c, nil)
		}
		server.Handler = func(ctx *fasthttp.RequestCtx) {
			kind, id, _ := strings.Cut(strings.TrimPrefix(string(ctx.Path()), "/"), "/")
			writePage(a, ctx, kind, id)
		}
		layers := arrange(s, cache, recoverFasthttp)
		for i := len(layers) - 1; i >= 0; i-- {
			server.Handler = layers[i](server.Handler)
		}
		return serveUntilEnd(t, server.Serve, server.Shutdown)
	}
}

var fasthttpMountings = []mounting{
	{"fasthttp", "with its server", "", fiberRecovery, onFasthttp(true)},
	{"fasthttp", "alone", "", fiberRecovery, onFasthttp(false)},
}
