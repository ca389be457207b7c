package fibercache

import (
	"errors"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// New returns middleware that serves the responses of the handlers inside it, from the cache if possible. It may share the cache with
// net/http handlers and other processes: the same URL has the same key.
func New(cache *httpcache.Cache) fiber.Handler {
	return func(c fiber.Ctx) error {
		if refused(c) {
			return c.Next()
		}
		return framework.Answer(cache, c)
	}
}

var framework = fasthttpcache.Framework[fiber.Ctx]{
	Server: func(c fiber.Ctx) *fasthttp.Server { return c.App().Server() },
	Method: func(c fiber.Ctx) string { return c.Method() },
	Status: func(err error) int {
		if e, ok := errors.AsType[*fiber.Error](err); ok && e != nil {
			return e.Code
		}
		return 0
	},
}
