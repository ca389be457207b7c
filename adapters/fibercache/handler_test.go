package fibercache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	recoverer "github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func TestMissThenHit(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Append("X-Any", "1")
		c.Response().Header.Add("X-Many", "1")
		c.Response().Header.Add("X-Many", "2")
		return c.JSON(fiber.Map{"path": c.Path()})
	}}
	s := cached(t, httpcache.Options{TTL: time.Minute}, o.serve)
	const body = `{"path":"/a"}`
	s.get("/a").expect(t, 200, stored, body)
	hit := s.get("/a")
	hit.expect(t, 200, "http; hit; ttl=", body)
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "X-Any": "1", "X-Many": "1|2",
	} {
		if got := strings.Join(hit.header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if hit.header.Get("Age") == "" || hit.length != int64(len(body)) {
		t.Errorf("%v, length %d", hit.header, hit.length)
	}
	o.expectRuns(t, 1)

	etag := hit.header.Get("ETag")
	notModified := s.get("/a", "If-None-Match", `"x", `+etag)
	notModified.expect(t, 304, "http; hit", "")
	if notModified.header.Get("ETag") != etag || notModified.header.Get("Content-Type") != "" {
		t.Errorf("304 with %v", notModified.header)
	}
	head := s.send("HEAD", "/a")
	head.expect(t, 200, "http; hit", "")
	if head.length != int64(len(body)) || head.header.Get("Content-Type") == "" {
		t.Errorf("HEAD with %v, length %d", head.header, head.length)
	}
	o.expectRuns(t, 1)
}

// The rules are httpcache's; here is that they get to see what they judge by.
func TestWhatIsNotStored(t *testing.T) {
	for name, tc := range map[string]struct {
		fields  []string
		handler fiber.Handler
		status  int
		want    string
	}{
		"Authorization":    {fields: []string{"Authorization", "x"}, want: missed},
		"If-Match":         {fields: []string{"If-Match", "*"}, want: bypass},
		"request no-store": {fields: []string{"Cache-Control", "no-store"}, want: "http; fwd=request"},
		"private":          {handler: func(c fiber.Ctx) error { c.Set("Cache-Control", "private"); return nil }, want: missed},
		"Set-Cookie":       {handler: func(c fiber.Ctx) error { c.Cookie(&fiber.Cookie{Name: "a", Value: "b"}); return nil }, want: missed},
		"Vary: *":          {handler: func(c fiber.Ctx) error { c.Vary("*"); return nil }, want: missed},
		"404":              {handler: func(c fiber.Ctx) error { c.Status(404); return nil }, status: 404, want: missed},
		"an error":         {handler: func(fiber.Ctx) error { return errors.New("hello") }, status: 500, want: missed},
		"a Fiber error":    {handler: func(fiber.Ctx) error { return fiber.NewError(200, "hello") }, want: missed},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{handler: func(c fiber.Ctx) error {
				if tc.handler != nil {
					if err := tc.handler(c); err != nil {
						return err
					}
				}
				return c.SendString("hello")
			}}
			s := cached(t, httpcache.Options{TTL: time.Minute}, o.serve)
			for range 2 {
				a := s.get("/a", tc.fields...)
				a.expect(t, max(tc.status, 200), tc.want, "hello")
				if strings.Contains(a.header.Get("Cache-Status"), "stored") {
					t.Errorf("Cache-Status: %s", a.header.Get("Cache-Status"))
				}
			}
			o.expectRuns(t, 2)
		})
	}
}

// Streams pass as they come: the first part arrives before the second is made.
func TestStreamPasses(t *testing.T) {
	read := make(chan struct{})
	o := &origin{handler: func(c fiber.Ctx) error {
		return c.SendStreamWriter(func(w *bufio.Writer) {
			fmt.Fprintln(w, "one")
			_ = w.Flush()
			<-read
			fmt.Fprintln(w, "two")
		})
	}}
	s := cached(t, httpcache.Options{TTL: time.Minute}, o.serve)
	res, err := s.client.Get(s.url + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); line != "one\n" {
		t.Fatalf("%q, %v", line, err)
	}
	close(read)
	if line, err := body.ReadString('\n'); line != "two\n" {
		t.Fatalf("%q, %v", line, err)
	}
	s.get("/a").expect(t, 200, missed, "one\ntwo\n")
	o.expectRuns(t, 2)
}

func TestBodyLimit(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error { return c.Send(bytes.Repeat([]byte("x"), len(c.Path())-1)) }}
	s := cached(t, httpcache.Options{TTL: time.Minute, MaxBody: 3}, o.serve)
	s.get("/123").expect(t, 200, stored, "xxx")
	s.get("/123").expect(t, 200, "http; hit", "xxx")
	for range 2 {
		s.get("/1234").expect(t, 200, missed, "xxxx")
	}
	o.expectRuns(t, 3)
}

func TestConcurrentMisses(t *testing.T) {
	for name, control := range map[string]string{"shared": "max-age=60", "private": "private"} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			var n atomic.Int64
			o := &origin{handler: func(c fiber.Ctx) error {
				c.Set("Cache-Control", control)
				<-gate
				return c.SendString(fmt.Sprint("run ", n.Add(1)))
			}}
			cache := newCache(t, httpcache.Options{})
			s := listen(t, fibercache.New(cache), o.serve)
			const clients = 20
			answers := make(chan answer, clients)
			for range clients {
				go func() { answers <- s.get("/a") }()
			}
			// The callers join as soon as the first has announced its load, which may
			// not have reached the handler yet.
			for cache.Stats().Tiers.Collapsed < clients-1 || o.runs.Load() == 0 {
				runtime.Gosched()
			}
			o.expectRuns(t, 1)
			close(gate)
			bodies := map[string]int{}
			for range clients {
				bodies[(<-answers).body]++
			}
			if name == "shared" && bodies["run 1"] != clients || name == "private" && len(bodies) != clients {
				t.Errorf("%v", bodies)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	o := &origin{}
	o.handler = func(c fiber.Ctx) error {
		if o.runs.Load() == 1 {
			panic("boom")
		}
		return c.SendString("hello")
	}
	s := listen(t, recoverer.New(), fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), o.serve)
	if a := s.get("/a"); a.status != 500 {
		t.Errorf("%d", a.status)
	}
	s.get("/a").expect(t, 200, stored, "hello")
	s.get("/a").expect(t, 200, "http; hit", "hello")
}

// Middleware outside of the cache may change an answer in place.
func TestStoredBytesAreNotShared(t *testing.T) {
	shout := func(c fiber.Ctx) error {
		err := c.Next()
		if c.Get("X-Loud") == "" {
			return err
		}
		body := c.Response().Body()
		copy(body, bytes.ToUpper(body))
		c.Set("X-Any", "changed")
		return err
	}
	o := &origin{handler: func(c fiber.Ctx) error { c.Set("X-Any", "1"); return c.SendString("hello") }}
	c := fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute}))
	app := fiber.New()
	app.Get("/a", shout, c, o.serve)
	s := start(t, app)
	for range 3 {
		if a := s.get("/a", "X-Loud", "1"); a.body != "HELLO" || a.header.Get("X-Any") != "changed" {
			t.Errorf("%q, %v", a.body, a.header)
		}
		if a := s.get("/a"); a.body != "hello" || a.header.Get("X-Any") != "1" {
			t.Errorf("%q, %v", a.body, a.header)
		}
	}
	o.expectRuns(t, 1)
}

// Middleware that sets a field for each request: it isn't replayed.
func TestOuterFieldsAreNotStored(t *testing.T) {
	var id atomic.Int64
	s := listen(t, func(c fiber.Ctx) error {
		c.Set("X-Request-Id", fmt.Sprint(id.Add(1)))
		return c.Next()
	}, fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), func(c fiber.Ctx) error { return c.SendString("hello") })
	s.get("/a").expect(t, 200, stored, "hello")
	if a := s.get("/a"); strings.Join(a.header["X-Request-Id"], "|") != "2" {
		t.Errorf("%v", a.header)
	}
}

func TestNested(t *testing.T) {
	c := fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute}))
	s := listen(t, c, c, func(c fiber.Ctx) error { return c.SendString("hello") })
	s.get("/a").expect(t, 200, stored, "hello")
	s.get("/a").expect(t, 200, "http; hit", "hello")
}

// fasthttp doesn't guess a type, so neither does a hit.
func TestNoContentType(t *testing.T) {
	app := fiber.New(fiber.Config{DisableDefaultContentType: true})
	app.Get("/*", fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), func(c fiber.Ctx) error {
		return c.Send([]byte("<html>"))
	})
	s := start(t, app)
	for _, want := range []string{stored, "http; hit"} {
		a := s.get("/a")
		a.expect(t, 200, want, "<html>")
		if got := a.header["Content-Type"]; len(got) != 0 {
			t.Errorf("%s: Content-Type: %q", want, got)
		}
	}
}

// A handler that Fiber's timeout gave up on is still at work: its response is left alone.
func TestTimeoutMiddleware(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan struct{})
	s := cached(t, httpcache.Options{TTL: time.Minute}, timeout.New(func(c fiber.Ctx) error {
		defer func() { ended <- struct{}{} }()
		began <- struct{}{}
		for len(began) > 0 { // until the client has its answer
			c.Set("X-Part", "1")
			c.Response().SetBodyString("secret")
		}
		return nil
	}, timeout.Config{Timeout: 10 * time.Millisecond}))
	for range 3 {
		a := s.get("/a")
		if a.status != 408 || strings.Contains(a.body, "secret") || a.header.Get("X-Part") != "" {
			t.Errorf("%d, %v, %.100q", a.status, a.header, a.body)
		}
		<-began
		<-ended
	}
}

// Handlers around the cache find their context as it was.
func TestContextIsRestored(t *testing.T) {
	type key struct{}
	var within context.Context
	s := listen(t, func(c fiber.Ctx) error {
		ctx := context.WithValue(c.Context(), key{}, "outer")
		c.SetContext(ctx)
		err := c.Next()
		if c.Context() != ctx {
			t.Error("the context is another one")
		}
		return err
	}, fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), func(c fiber.Ctx) error {
		within = c.Context()
		return c.SendString("hello")
	})
	s.get("/a").expect(t, 200, stored, "hello")
	if within == nil || within.Value(key{}) != "outer" {
		t.Error("the handler doesn't see the outer context's values")
	}
}
