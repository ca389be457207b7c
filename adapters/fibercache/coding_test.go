package fibercache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// compressing is an origin that compresses where it may, and says Vary only then.
func compressing() *origin {
	return &origin{handler: func(c fiber.Ctx) error {
		if strings.Contains(c.Get("Accept-Encoding"), "gzip") {
			c.Set("Content-Encoding", "gzip")
			c.Set("Vary", "Accept-Encoding")
			return c.SendString("(coded)")
		}
		return c.SendString("plain")
	}}
}

// A response that doesn't say that it varies is for requests like its own, where that is known, or Encodings says so.
func TestVarySaidSometimes(t *testing.T) {
	for _, tc := range []struct {
		options httpcache.Options
		order   []string
		runs    int64
	}{
		{httpcache.Options{TTL: time.Minute}, []string{"gzip", "", "br", "gzip", "", "br"}, 3},
		{httpcache.Options{TTL: time.Minute, Encodings: []string{"gzip"}}, []string{"", "gzip", "br", "gzip", ""}, 2},
	} {
		o := compressing()
		s := cached(t, tc.options, o.serve)
		for _, accepted := range tc.order {
			want := "plain"
			if accepted == "gzip" {
				want = "(coded)"
			}
			if a := s.get("/a", "Accept-Encoding", accepted); a.body != want {
				t.Errorf("%q: %v, %q", accepted, a.header, a.body)
			}
		}
		o.expectRuns(t, tc.runs)
	}
}

// What a handler around the cache answers, where those inside have set nothing, reaches the client.
func TestAnsweredAround(t *testing.T) {
	around := func(c fiber.Ctx) error {
		if err := c.Next(); err != nil {
			return err
		}
		return c.SendStatus(fiber.StatusTeapot)
	}
	s := listen(t, around, fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), func(fiber.Ctx) error { return nil })
	if a := s.get("/a", "If-None-Match", "*"); a.status != fiber.StatusTeapot || a.body == "" {
		t.Errorf("%d, %v, %q", a.status, a.header, a.body)
	}
}

// A handler around the cache that codes the answer codes no part of what is stored.
func TestPartOfWhatIsCodedAround(t *testing.T) {
	around := func(c fiber.Ctx) error {
		if c.Get("X-Coding") != "" {
			c.Set("Content-Encoding", "gzip")
		}
		return c.Next()
	}
	s := listen(t, around, fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), func(c fiber.Ctx) error { return c.SendString("0123456789") })
	s.get("/a").expect(t, 200, stored, "0123456789")
	s.get("/a", "Range", "bytes=2-4").expect(t, 206, "http; hit", "234")
	s.get("/a", "Range", "bytes=2-4", "X-Coding", "1").expect(t, 200, bypass, "0123456789")
}
