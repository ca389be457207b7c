package fibercache_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

// What the purges of a cache make stale is served while it is renewed, or validated.
func TestSoftPurge(t *testing.T) {
	for name, purge := range map[string]func(ctx context.Context, c *httpcache.Cache, url string) error{
		"SoftPurge": func(ctx context.Context, c *httpcache.Cache, url string) error {
			return c.SoftPurge(ctx, httptest.NewRequest("GET", url+"/a", nil))
		},
		"SoftPurgeTags": func(ctx context.Context, c *httpcache.Cache, _ string) error { return c.SoftPurgeTags(ctx, "thing") },
		"SoftClear":     func(ctx context.Context, c *httpcache.Cache, _ string) error { return c.SoftClear(ctx) },
	} {
		for _, vary := range []string{"", "X-Lang"} {
			t.Run(name+" "+vary, func(t *testing.T) {
				control := "max-age=60, stale-while-revalidate=30"
				o := &origin{}
				o.handler = func(c fiber.Ctx) error {
					c.Set("Cache-Control", control)
					c.Set("Cache-Tag", "thing")
					c.Set("ETag", `"x"`)
					if vary != "" {
						c.Set("Vary", vary)
					}
					if c.Get("If-None-Match") != "" {
						return c.SendStatus(304)
					}
					return c.SendString(fmt.Sprint("run ", o.runs.Load()))
				}
				cache := newCache(t, httpcache.Options{})
				s := listen(t, fibercache.New(cache), o.serve)
				fields := []string{"X-Lang", "de"}
				s.get("/a", fields...)
				soft := func() {
					t.Helper()
					if err := purge(t.Context(), cache, s.url); err != nil {
						t.Fatal(err)
					}
				}
				soft()
				s.get("/a", fields...).expect(t, 200, "http; hit", "run 1")
				observe.Until(t, "a run behind", func() bool { return cache.Stats().Validated == 1 })
				observe.Until(t, "a fresh response", func() bool {
					stale := cache.Stats().Stale
					s.get("/a", fields...).expect(t, 200, "http; hit", "run 1")
					return cache.Stats().Stale == stale
				})
				runs := o.runs.Load()
				control = "max-age=60"
				if err := cache.Clear(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.get("/a", fields...)
				soft()
				s.get("/a", fields...).expect(t, 200, "http; fwd=stale; fwd-status=304; stored", fmt.Sprint("run ", runs+1))
				s.get("/a", fields...).expect(t, 200, "http; hit", fmt.Sprint("run ", runs+1))
			})
		}
	}
}

// Once the handler has answered with what can't be stored, a variant that was purged softly isn't served any more.
func TestSoftPurgeOfWhatIsRefused(t *testing.T) {
	var gone atomic.Bool
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Set("Vary", "X-Lang")
		if gone.Load() {
			c.Set("Cache-Control", "private")
			return c.Status(404).SendString("gone")
		}
		c.Set("Cache-Control", "max-age=3600, stale-while-revalidate=30")
		return c.SendString(c.Get("X-Lang"))
	}}
	cache := newCache(t, httpcache.Options{})
	s := listen(t, fibercache.New(cache), o.serve)
	for _, l := range []string{"de", "en", "fr"} {
		s.get("/a", "X-Lang", l)
	}
	soft := func() {
		t.Helper()
		if err := cache.SoftClear(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	soft()
	s.get("/a", "X-Lang", "fr").expect(t, 200, "http; hit", "fr") // whose new response begins an index
	observe.Until(t, "a fresh response", func() bool {
		stale := cache.Stats().Stale
		s.get("/a", "X-Lang", "fr").expect(t, 200, "http; hit", "fr")
		return cache.Stats().Stale == stale
	})
	gone.Store(true)
	for _, l := range []string{"de", "en"} {
		s.get("/a", "X-Lang", l).expect(t, 200, "http; hit", l)
		observe.Until(t, "what the handler answers", func() bool { return s.get("/a", "X-Lang", l).body == "gone" })
		soft()
	}
}
