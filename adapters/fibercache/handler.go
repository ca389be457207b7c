package fibercache

import (
	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// New returns middleware that serves the responses of the handlers inside it, from the cache if possible. It may share the cache with
// net/http handlers and other processes: the same URL has the same key.
func New(cache *httpcache.Cache) fiber.Handler { return (&middleware{cache}).handle }

// middleware is one use of a cache in an app.
type middleware struct{ cache *httpcache.Cache }

func (m *middleware) handle(c fiber.Ctx) error {
	if d, ok := c.RequestCtx().UserValue(detachedKey{}).(*detached); ok {
		d.adoptContext(c)
	}
	if refused(c) {
		return c.Next()
	}
	x := exchanges.Get().(*exchange)
	x.c = c
	if !x.preview() {
		if err := x.parse(); err != nil {
			return c.Next() // net/http would have rejected it, or parsed it differently
		}
	}
	m.cache.Answer(x)
	err := x.err
	x.release()
	return err
}
