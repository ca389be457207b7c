package fibercache_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/compress"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// With SharedBodies all hits send the same bytes. Middleware may still replace them.
func TestSharedBodies(t *testing.T) {
	var bodies []*byte
	look := func(c fiber.Ctx) error {
		err := c.Next()
		body := c.Response().Body()
		bodies = append(bodies, unsafe.SliceData(body))
		if len(body) > 0 && cap(body) > len(body) && strings.Contains(c.GetRespHeader("Cache-Status"), "; hit") {
			t.Error("an append to the body would change what is behind it")
		}
		if c.Get("X-Loud") != "" {
			c.Response().SetBody(bytes.ToUpper(body))
		}
		return err
	}
	o := &origin{handler: func(c fiber.Ctx) error { return c.SendString("hello, world") }}
	app := fiber.New()
	app.Use(compress.New())
	app.Get("/a", look, fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute, SharedBodies: true})), o.serve)
	s := start(t, app)
	s.get("/a").expect(t, 200, stored, "hello, world")
	for range 2 {
		s.get("/a").expect(t, 200, "http; hit", "hello, world")
		s.get("/a", "X-Loud", "1").expect(t, 200, "http; hit", "HELLO, WORLD")
		s.get("/a", "Accept-Encoding", "gzip")
		s.get("/a", "Range", "bytes=1-3").expect(t, 206, "http; hit", "ell")
		s.send("HEAD", "/a").expect(t, 200, "http; hit", "")
	}
	if bodies[1] != bodies[2] || bodies[1] != bodies[6] {
		t.Errorf("%v: hits have different memory", bodies)
	}
	o.expectRuns(t, 1)
}

// Cookies of middleware and of a stored response are all sent, each on its own line.
func TestCookiesOfBoth(t *testing.T) {
	s := listen(t, func(c fiber.Ctx) error {
		c.Cookie(&fiber.Cookie{Name: "a", Value: "1"})
		c.Cookie(&fiber.Cookie{Name: "b", Value: "2"})
		return c.Next()
	}, fibercache.New(newCache(t, httpcache.Options{ShareCookies: true})), func(c fiber.Ctx) error {
		c.Set("Cache-Control", "max-age=60")
		c.Cookie(&fiber.Cookie{Name: "c", Value: "3"})
		return c.SendString("hello")
	})
	for _, status := range []string{stored, "http; hit"} {
		a := s.get("/a")
		a.expect(t, 200, status, "hello")
		var names []string
		for _, line := range a.header["Set-Cookie"] {
			names = append(names, line[:strings.IndexByte(line, ';')])
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "a=1 b=2 c=3" {
			t.Errorf("%q: %q", status, a.header["Set-Cookie"])
		}
	}
}
