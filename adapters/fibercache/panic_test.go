package fibercache_test

import (
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	recoverer "github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A panic is a failure, in whose place a stale response may be served, to a HEAD as to a GET. Where there is none, it is the
// panic that it was.
func TestStaleInPlaceOfAPanic(t *testing.T) {
	o := &origin{}
	o.handler = func(c fiber.Ctx) error {
		if o.runs.Load() > 1 {
			c.Set("X-Any", "of the panic")
			panic("down")
		}
		c.Set("Cache-Control", "max-age=0, stale-if-error=60")
		c.Set("Etag", `"1"`)
		return c.SendString("hello")
	}
	s := listen(t, recoverer.New(), fibercache.New(newCache(t, httpcache.Options{StaleIfError: time.Minute})), o.serve)
	s.get("/a").expect(t, 200, stored, "hello")
	for _, method := range []string{"GET", "HEAD"} {
		a := s.send(method, "/a")
		if a.status != 200 || a.length != 5 || a.header.Get("X-Any") != "" || a.header.Get("Etag") != `"1"` {
			t.Errorf("%s: %d, %v", method, a.status, a.header)
		}
	}
	if a := s.get("/b"); a.status != 500 {
		t.Errorf("%d, %v", a.status, a.header)
	}
}
