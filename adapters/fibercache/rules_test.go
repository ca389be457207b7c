package fibercache_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// The rules are httpcache's; the tests of this file are that on Fiber they get what they need, and have their way.

const lastModified = "Mon, 02 Jan 2006 15:04:05 GMT"

func TestValidation(t *testing.T) {
	var asked []string
	o := &origin{handler: func(c fiber.Ctx) error {
		asked = append(asked, c.Get("If-None-Match")+"|"+c.Get("If-Modified-Since"))
		c.Set("Cache-Control", "no-cache")
		c.Set("ETag", `"1"`)
		c.Set("Last-Modified", lastModified)
		c.Set("X-Run", fmt.Sprint(len(asked)))
		if c.Get("If-None-Match") == `"1"` {
			c.Set("X-Validated", "yes")
			return c.SendStatus(304)
		}
		return c.SendString("hello")
	}}
	var logged string
	s := listen(t, func(c fiber.Ctx) error {
		c.Set("X-Outer", "1")
		c.Status(299) // which nobody should see
		err := c.Next()
		logged = c.Get("If-None-Match") + "|" + c.Get("If-Modified-Since")
		return err
	}, fibercache.New(newCache(t, httpcache.Options{})), o.serve)

	// Elsewhere: what isn't stored is remembered behind, and who comes meanwhile waits for that and isn't stored either.
	s.get("/b").expect(t, 299, missed, "hello")
	o.handler, asked = wrap(o.handler, func(c fiber.Ctx) { c.Status(200) }), nil
	s.get("/a").expect(t, 200, stored, "hello")
	a := s.get("/a")
	a.expect(t, 200, "http; fwd=stale; fwd-status=304; stored", "hello")
	if a.header.Get("X-Validated") != "yes" || a.header.Get("X-Outer") != "1" || a.length != 5 {
		t.Errorf("validated: %v", a.header)
	}
	if a := s.get("/a", "If-None-Match", `"0"`); a.status != 200 || logged != `"0"|` {
		t.Errorf("another ETag: %d; afterwards the request has %s", a.status, logged)
	}
	a = s.get("/a", "If-None-Match", `"1"`)
	a.expect(t, 304, "http; fwd=stale; fwd-status=304", "")
	if logged != `"1"|` {
		t.Errorf("afterwards the request has %s", logged)
	}
	want := strings.Repeat(` "1"|`+lastModified, 3)
	if got := strings.Join(asked, " "); got != "|"+want {
		t.Errorf("the handler was asked with %s, want |%s", got, want)
	}
}

// wrap returns a handler that does something before another one.
func wrap(h fiber.Handler, first func(fiber.Ctx)) fiber.Handler {
	return func(c fiber.Ctx) error { first(c); return h(c) }
}

// The handler is asked for the whole, so that it can be stored, and the client gets what it asked for.
func TestConditionalMiss(t *testing.T) {
	var asked string
	s := cached(t, httpcache.Options{TTL: time.Minute}, func(c fiber.Ctx) error {
		asked = c.Get("If-None-Match")
		c.Set("ETag", `"1"`)
		c.Set("Content-Language", "en")
		return c.SendString("hello")
	})
	a := s.get("/a", "If-None-Match", `"1"`)
	a.expect(t, 304, "http; fwd=uri-miss; fwd-status=200; stored", "")
	if asked != "" || a.header.Get("ETag") != `"1"` || a.header.Get("Content-Language")+a.header.Get("Content-Type") != "" {
		t.Errorf("the handler was asked with %q; %v", asked, a.header)
	}
	s.get("/a").expect(t, 200, "http; hit", "hello")
}

func TestStaleIfError(t *testing.T) {
	failures := map[string]fiber.Handler{
		"a status":        func(c fiber.Ctx) error { return c.Status(503).SendString("down") },
		"a stream":        func(c fiber.Ctx) error { return c.Status(500).SendStream(strings.NewReader("down")) },
		"a Fiber error":   func(fiber.Ctx) error { return fiber.ErrBadGateway },
		"a wrapped error": func(fiber.Ctx) error { return fmt.Errorf("%w: %w", fiber.ErrServiceUnavailable, errors.New("down")) },
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.handler = func(c fiber.Ctx) error {
				c.Set("Cache-Control", "max-age=0, stale-if-error=60")
				if o.runs.Load() > 1 {
					c.Set("X-Failed", "1")
					c.Append("Vary", "X-Any")
					return failure(c)
				}
				return c.SendString("hello")
			}
			s := listen(t, wrap(func(c fiber.Ctx) error { return c.Next() }, func(c fiber.Ctx) { c.Set("X-Outer", "1") }),
				fibercache.New(newCache(t, httpcache.Options{})), o.serve)
			s.get("/a").expect(t, 200, stored, "hello")
			for _, want := range []string{"http; fwd=stale; fwd-status=50", "http; "} { // the next one needn't try again
				a := s.get("/a")
				a.expect(t, 200, want, "hello")
				if h := a.header; h.Get("X-Failed")+h.Get("Vary") != "" || h.Get("X-Outer") != "1" {
					t.Errorf("the answer has %v", h)
				}
			}
		})
	}
}

// An error that may come to any answer is Fiber's to answer.
func TestErrorsPass(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		status int
	}{
		"any error":              {errors.New("hello"), 418},
		"a Fiber error":          {fiber.NewError(404, "hello"), 404},
		"a Fiber error of a 304": {fiber.NewError(304), 304},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.handler = func(c fiber.Ctx) error {
				c.Set("Cache-Control", "max-age=0, stale-if-error=60")
				c.Set("ETag", `"1"`)
				if o.runs.Load() > 1 {
					return tc.err
				}
				return c.SendString("hello")
			}
			app := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
				var e *fiber.Error
				if !errors.As(err, &e) {
					return c.Status(418).SendString(err.Error())
				}
				return fiber.DefaultErrorHandler(c, err)
			}})
			app.Get("/*", fibercache.New(newCache(t, httpcache.Options{})), o.serve)
			s := start(t, app)
			s.get("/a").expect(t, 200, stored, "hello")
			if a := s.get("/a"); a.status != tc.status || strings.Contains(a.header.Get("Cache-Status"), "fwd-status") {
				t.Errorf("%d, %v", a.status, a.header)
			}
			s.get("/b", "If-None-Match", `"1"`) // not /a, for which the handler may not be asked again so soon
			o.expectRuns(t, 3)
		})
	}
}

func TestUnsafeMethodsInvalidate(t *testing.T) {
	version := 1
	s := cached(t, httpcache.Options{TTL: time.Minute}, func(c fiber.Ctx) error {
		switch {
		case c.Method() == http.MethodGet:
			return c.SendString(fmt.Sprint(c.Path(), version))
		case c.Get("X-Fail") == "status":
			return c.SendStatus(500)
		case c.Get("X-Fail") == "error":
			return errors.New("it failed")
		}
		version++
		c.Set("Location", "/other")
		return c.SendStatus(204)
	})
	for i, method := range []string{"PUT", "POST", "PATCH", "DELETE"} {
		for _, path := range []string{"/a", "/other"} {
			s.get(path).expect(t, 200, stored, fmt.Sprint(path, i+1))
		}
		for _, fail := range []string{"status", "error"} {
			if a := s.send(method, "/a", "X-Fail", fail); a.status != 500 {
				t.Errorf("%s: %d", method, a.status)
			}
			s.get("/a").expect(t, 200, "http; hit", fmt.Sprint("/a", i+1))
		}
		s.send(method, "/a").expect(t, 204, "http; fwd=method", "")
	}
	s.get("/a").expect(t, 200, stored, "/a5")
}

// The response to a POST may be what later GETs get, body and all.
func TestStorePosts(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Set("Cache-Control", "max-age=60")
		c.Set("Content-Location", c.Path())
		return c.SendString(c.Method())
	}}
	s := cached(t, httpcache.Options{StorePosts: true}, o.serve)
	s.send("POST", "/a").expect(t, 200, "http; fwd=method; stored", "POST")
	s.get("/a").expect(t, 200, "http; hit", "POST")
	o.expectRuns(t, 1)
}

func TestVary(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Vary("X-User", "Accept-Encoding")
		return c.SendString(c.Get("X-User") + c.Get("Accept-Encoding"))
	}}
	s := cached(t, httpcache.Options{TTL: time.Minute, Encodings: []string{"br", "gzip"}}, o.serve)
	for _, want := range []string{"fwd=", "hit"} {
		for _, user := range []string{"alice", "bob"} {
			s.get("/a", "X-User", user, "Accept-Encoding", "deflate, gzip").expect(t, 200, "http; "+want, user+"gzip")
		}
	}
	o.expectRuns(t, 2)
}

func TestRange(t *testing.T) {
	var asked string
	o := &origin{handler: func(c fiber.Ctx) error {
		asked = c.Get("Range")
		c.Set("ETag", `"1"`)
		return c.SendString("0123456789")
	}}
	s := cached(t, httpcache.Options{TTL: time.Minute}, o.serve)
	s.get("/a").expect(t, 200, stored, "0123456789")
	for field, want := range map[string]answer{
		"bytes=2-4": {status: 206, body: "234", header: http.Header{"Content-Range": {"bytes 2-4/10"}}, length: 3},
		"bytes=-1":  {status: 206, body: "9", header: http.Header{"Content-Range": {"bytes 9-9/10"}}, length: 1},
		"bytes=99-": {status: 416, header: http.Header{"Content-Range": {"bytes */10"}}},
	} {
		a := s.get("/a", "Range", field)
		a.expect(t, want.status, "http; hit", want.body)
		if a.header.Get("Content-Range") != want.header.Get("Content-Range") || a.length != want.length {
			t.Errorf("%s: length %d, %v", field, a.length, a.header)
		}
	}
	head := s.send("HEAD", "/a")
	head.expect(t, 200, "http; hit", "")
	if head.length != 10 {
		t.Errorf("HEAD: length %d, want 10", head.length)
	}
	o.expectRuns(t, 1)

	s.get("/b", "Range", "bytes=0-0").expect(t, 200, "http; fwd=", "0123456789")
	if asked != "bytes=0-0" {
		t.Errorf("the handler was asked for %q", asked)
	}
	s.get("/b", "Range", "bytes=0-0").expect(t, 206, "http; hit", "0")
}

func TestPart(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Set("Cache-Control", "max-age=60")
		c.Set("ETag", `"1"`)
		c.Set("Content-Range", "bytes 2-5/10")
		return c.Status(206).SendString("2345")
	}}
	s := cached(t, httpcache.Options{}, o.serve)
	s.get("/a", "Range", "bytes=2-5").expect(t, 206, "http; fwd=", "2345")
	a := s.get("/a", "Range", "bytes=3-4")
	a.expect(t, 206, "http; hit", "34")
	if got := a.header["Content-Range"]; len(got) != 1 || got[0] != "bytes 3-4/10" || a.length != 2 {
		t.Errorf("Content-Range %q, length %d", got, a.length)
	}
	o.expectRuns(t, 1)
}

func TestOnlyIfCached(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error { return c.SendString("hello") }}
	s := cached(t, httpcache.Options{TTL: time.Minute}, o.serve)
	a := s.get("/a", "Cache-Control", "only-if-cached")
	a.expect(t, 504, "http; ", "")
	if a.length != 0 || a.header.Get("Content-Type") != "" {
		t.Errorf("%d, %v", a.length, a.header)
	}
	o.expectRuns(t, 0)
}

// A response without content has neither a length nor a type.
func TestNoContent(t *testing.T) {
	s := cached(t, httpcache.Options{}, func(c fiber.Ctx) error {
		c.Set("Cache-Control", "max-age=60")
		return c.SendStatus(204)
	})
	for _, want := range []string{stored, "http; hit"} {
		a := s.get("/a")
		a.expect(t, 204, want, "")
		if _, ok := a.header["Content-Length"]; ok || a.header.Get("Content-Type") != "" {
			t.Errorf("%s: %v", want, a.header)
		}
	}
}

// The Date is that of the stored response, if Fiber leaves it alone.
func TestDate(t *testing.T) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	cache := newCache(t, httpcache.Options{})
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date)
		w.Header().Set("Cache-Control", "max-age=1000000000")
		fmt.Fprint(w, "hello")
	}))
	for _, left := range []bool{true, false} {
		app := fiber.New(fiber.Config{DisableDefaultDate: left})
		app.Get("/*", fibercache.New(cache), func(fiber.Ctx) error { return errors.New("it isn't found") })
		s := start(t, app)
		w := newRecorder(h, s.url+"/a")
		if w.Code != 200 {
			t.Fatal(w.Code)
		}
		a := s.get("/a")
		a.expect(t, 200, "http; hit", "hello")
		if got := a.header["Date"]; len(got) != 1 || (got[0] == date) != left {
			t.Errorf("DisableDefaultDate %v: Date: %q", left, got)
		}
	}
}

// Stored cookies are added to those that handlers around the cache set for this client.
func TestCookies(t *testing.T) {
	var clients atomic.Int64
	s := listen(t, func(c fiber.Ctx) error {
		c.Cookie(&fiber.Cookie{Name: "outer", Value: fmt.Sprint(clients.Add(1))})
		return c.Next()
	}, fibercache.New(newCache(t, httpcache.Options{})), func(c fiber.Ctx) error {
		c.Cookie(&fiber.Cookie{Name: "a", Value: "1"})
		c.Cookie(&fiber.Cookie{Name: "b", Value: "2"})
		c.Set("Cache-Control", "public, max-age=60")
		return c.SendString("hello")
	})
	for i, want := range []string{stored, "http; hit"} {
		a := s.get("/a")
		a.expect(t, 200, want, "hello")
		got := a.header["Set-Cookie"]
		for n, prefix := range []string{fmt.Sprint("outer=", i+1), "a=1", "b=2"} {
			if len(got) != 3 || !strings.HasPrefix(got[n], prefix) {
				t.Errorf("%s: %q", want, got)
			}
		}
	}
}
