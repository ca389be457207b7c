package mounts_test

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v3"
	fiberrecover "github.com/gofiber/fiber/v3/middleware/recover"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5middleware "github.com/labstack/echo/v5/middleware"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func newEcho4() *echo4.Echo {
	e := echo4.New()
	e.Logger.SetOutput(io.Discard)
	return e
}

// echo4Layers lets the recovering middleware turn an error into a response, which echo itself does only after the cache.
func echo4Layers(s stack) []echo4.MiddlewareFunc {
	cache := func(c *httpcache.Cache) echo4.MiddlewareFunc { return echo4.WrapMiddleware(c.Handler) }
	return arrange(s, cache, echo4Answers, echo4middleware.RecoverWithConfig(echo4middleware.RecoverConfig{DisableErrorHandler: true}))
}

func echo4Pages(a *app) echo4.HandlerFunc {
	return func(c echo4.Context) error {
		a.answer(c.Response(), c.Request(), c.Param("kind"), c.Param("id"), func(p page) {
			for i := range p.parts {
				_, _ = io.WriteString(c.Response(), a.part(p, i))
				c.Response().Flush()
			}
		})
		return nil
	}
}

var echo4Mountings = []mounting{
	{"echo v4", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho4()
		e.Any("/:kind/:id", echo4Pages(a))
		return wrap(e, s.layers())
	})},
	{"echo v4", "before routing", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho4()
		e.Pre(echo4Layers(s)...)
		e.Any("/:kind/:id", echo4Pages(a))
		return e
	})},
	{"echo v4", "global", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho4()
		e.Use(echo4Layers(s)...)
		e.Any("/:kind/:id", echo4Pages(a))
		return e
	})},
	{"echo v4", "group", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho4()
		e.Group("/api", echo4Layers(s)...).Any("/:kind/:id", echo4Pages(a))
		return e
	})},
	{"echo v4", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho4()
		e.Any("/:kind/:id", echo4Pages(a), echo4Layers(s)...)
		return e
	})},
}

func newEcho5() *echo5.Echo {
	e := echo5.New()
	e.Logger = slog.New(slog.DiscardHandler)
	return e
}

func echo5Layers(s stack) []echo5.MiddlewareFunc {
	cache := func(c *httpcache.Cache) echo5.MiddlewareFunc { return echo5.WrapMiddleware(c.Handler) }
	return arrange(s, cache, echo5Answers, echo5middleware.Recover())
}

func echo5Pages(a *app) echo5.HandlerFunc {
	return func(c *echo5.Context) error {
		a.answer(c.Response(), c.Request(), c.Param("kind"), c.Param("id"), func(p page) {
			for i := range p.parts {
				_, _ = io.WriteString(c.Response(), a.part(p, i))
				_ = http.NewResponseController(c.Response()).Flush()
			}
		})
		return nil
	}
}

var echo5Mountings = []mounting{
	{"echo v5", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho5()
		e.Any("/:kind/:id", echo5Pages(a))
		return wrap(e, s.layers())
	})},
	{"echo v5", "before routing", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho5()
		e.Pre(echo5Layers(s)...)
		e.Any("/:kind/:id", echo5Pages(a))
		return e
	})},
	{"echo v5", "global", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho5()
		e.Use(echo5Layers(s)...)
		e.Any("/:kind/:id", echo5Pages(a))
		return e
	})},
	{"echo v5", "group", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho5()
		e.Group("/api", echo5Layers(s)...).Any("/:kind/:id", echo5Pages(a))
		return e
	})},
	{"echo v5", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := newEcho5()
		e.Any("/:kind/:id", echo5Pages(a), echo5Layers(s)...)
		return e
	})},
}

func ginLayers(s stack) []gin.HandlerFunc {
	return arrange(s, ginCache, gin.RecoveryWithWriter(io.Discard))
}

func ginPages(a *app) gin.HandlerFunc {
	return func(c *gin.Context) {
		a.answer(c.Writer, c.Request, c.Param("kind"), c.Param("id"), func(p page) {
			i := 0
			c.Stream(func(w io.Writer) bool {
				_, _ = io.WriteString(w, a.part(p, i))
				i++
				return i < len(p.parts)
			})
		})
	}
}

var ginMountings = []mounting{
	{"gin", "outside of all", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := gin.New()
		e.Any("/:kind/:id", ginPages(a))
		return wrap(e, s.layers())
	})},
	{"gin", "global", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := gin.New()
		e.Use(ginLayers(s)...)
		e.Any("/:kind/:id", ginPages(a))
		return e
	})},
	{"gin", "group", "/api", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := gin.New()
		e.Group("/api", ginLayers(s)...).Any("/:kind/:id", ginPages(a))
		return e
	})},
	{"gin", "per route", "", everywhere, onServer(func(a *app, s stack) http.Handler {
		e := gin.New()
		e.Any("/:kind/:id", append(ginLayers(s), ginPages(a))...)
		return e
	})},
}

// Fiber's server doesn't recover from panics.
var fiberRecovery = []recovery{outside, inside}

// fiberLayers lets the recovering middleware return a *fiber.Error, the only error that the cache treats as a server error.
func fiberLayers(s stack) []any {
	recoverer := fiberrecover.New(fiberrecover.Config{PanicHandler: func(fiber.Ctx, any) error { return fiber.ErrInternalServerError }})
	var list []any
	for _, h := range arrange(s, fibercache.New, recoverer) {
		list = append(list, h)
	}
	return list
}

func fiberPages(a *app) fiber.Handler {
	return func(c fiber.Ctx) error {
		p := a.page(c.Method(), c.Params("kind"), c.Params("id"), func(name string) string { return c.Get(name) })
		if p.panics && len(p.parts) == 0 {
			panic("no page")
		}
		c.Status(p.status)
		for i := 0; i < len(p.fields); i += 2 {
			c.Set(p.fields[i], p.fields[i+1])
		}
		if c.Params("kind") == "stream" {
			return c.SendStreamWriter(func(w *bufio.Writer) {
				for i := range p.parts {
					_, _ = w.WriteString(a.part(p, i))
					_ = w.Flush()
				}
			})
		}
		for _, part := range p.parts {
			_, _ = c.WriteString(part)
		}
		if p.panics {
			panic("half a page")
		}
		return nil
	}
}

// onFiber returns the serve function of a mounting in an app.
func onFiber(build func(app *fiber.App, a *app, layers []any)) func(t *testing.T, a *app, s stack) string {
	return func(t *testing.T, a *app, s stack) string {
		app := fiber.New()
		build(app, a, fiberLayers(s))
		return listenFiber(t, app)
	}
}

var fiberMountings = []mounting{
	{"Fiber", "global", "", fiberRecovery, onFiber(func(app *fiber.App, a *app, layers []any) {
		app.Use(layers...)
		app.All("/:kind/:id", fiberPages(a))
	})},
	{"Fiber", "group", "/api", fiberRecovery, onFiber(func(app *fiber.App, a *app, layers []any) {
		app.Group("/api", layers...).All("/:kind/:id", fiberPages(a))
	})},
	{"Fiber", "per route", "", fiberRecovery, onFiber(func(app *fiber.App, a *app, layers []any) {
		app.All("/:kind/:id", layers[0], append(layers[1:], fiberPages(a))...)
	})},
	{"Fiber", "mounted sub-app", "/api", fiberRecovery, onFiber(func(app *fiber.App, a *app, layers []any) {
		sub := fiber.New()
		sub.Use(layers...)
		sub.All("/:kind/:id", fiberPages(a))
		app.Use("/api", sub)
	})},
}
