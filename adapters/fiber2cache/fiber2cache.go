// Package fiber2cache is package httpcache for Fiber v2: the same cache with the same rules, in front of Fiber's handlers. For Fiber v3
// there is package fibercache, whose documentation holds here too, with these differences:
//
//   - The host in the key is c.Hostname() and the scheme c.Protocol(). Without fiber.Config.EnableTrustedProxyCheck Fiber v2 believes
//     X-Forwarded-Host and X-Forwarded-Proto of any client, and so does the key.
//   - Handlers around the cache pass data to httpcache.Options.User and Key in the request's context, with c.SetUserContext.
//   - A request that fasthttp rejects goes to the app's ErrorHandler, without any middleware.
package fiber2cache

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// New returns middleware that serves the responses of the handlers inside it, from the cache if possible. It may share the cache with
// net/http handlers and other processes: the same URL has the same key.
func New(cache *httpcache.Cache) fiber.Handler {
	return func(c *fiber.Ctx) error { return framework.Answer(cache, (*call)(c)) }
}

var framework = fasthttpcache.Framework[*call]{
	Server: func(c *call) *fasthttp.Server { return c.fiber().App().Server() },
	Method: func(c *call) string { return c.fiber().Method() },
	Status: func(err error) int {
		if e, ok := errors.AsType[*fiber.Error](err); ok && e != nil {
			return e.Code
		}
		return 0
	},
}

// call is a Ctx as a fasthttpcache.Call.
type call fiber.Ctx

func (c *call) fiber() *fiber.Ctx { return (*fiber.Ctx)(c) }

func (c *call) RequestCtx() *fasthttp.RequestCtx { return c.fiber().Context() }

func (c *call) Context() context.Context { return c.fiber().UserContext() }

func (c *call) SetContext(ctx context.Context) { c.fiber().SetUserContext(ctx) }

func (c *call) Host() string { return c.fiber().Hostname() }

func (c *call) Scheme() string { return c.fiber().Protocol() }

func (c *call) Next() error { return c.fiber().Next() }
