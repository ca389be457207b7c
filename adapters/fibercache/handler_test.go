package fibercache_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	recoverer "github.com/gofiber/fiber/v3/middleware/recover"

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
		"Authorization":    {fields: []string{"Authorization", "x"}, want: bypass},
		"Range":            {fields: []string{"Range", "bytes=0-0"}, want: bypass},
		"request no-store": {fields: []string{"Cache-Control", "no-store"}, want: "http; fwd=request"},
		"private":          {handler: func(c fiber.Ctx) error { c.Set("Cache-Control", "private"); return nil }, want: missed},
		"Set-Cookie":       {handler: func(c fiber.Ctx) error { c.Cookie(&fiber.Cookie{Name: "a", Value: "b"}); return nil }, want: missed},
		"Vary":             {handler: func(c fiber.Ctx) error { c.Vary("Accept"); return nil }, want: missed},
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
			for cache.Stats().Tiers.Collapsed < clients-1 {
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
		body := c.Response().Body()
		copy(body, bytes.ToUpper(body))
		c.Set("X-Any", "changed")
		return err
	}
	o := &origin{handler: func(c fiber.Ctx) error { c.Set("X-Any", "1"); return c.SendString("hello") }}
	c := fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute}))
	app := fiber.New()
	app.Get("/loud", shout, func(ctx fiber.Ctx) error { ctx.Path("/a"); return ctx.Next() }, c, o.serve)
	app.Get("/a", c, o.serve)
	s := start(t, app)
	for range 3 {
		if a := s.get("/loud"); a.body != "HELLO" || a.header.Get("X-Any") != "changed" {
			t.Errorf("%q, %v", a.body, a.header)
		}
		if a := s.get("/a"); a.body != "hello" || a.header.Get("X-Any") != "1" {
			t.Errorf("%q, %v", a.body, a.header)
		}
	}
	o.expectRuns(t, 1)
}

// What is kept of a request and a response outlives Fiber's buffers, which the next requests overwrite.
func TestBuffersAreNotKept(t *testing.T) {
	var kept []string
	cache := newCache(t, httpcache.Options{TTL: time.Minute, Key: func(r *http.Request) string {
		kept = append(kept, r.Method, r.Host, r.URL.Path, r.Header.Get("X-User"))
		return r.URL.Path + r.Header.Get("X-User")
	}})
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Response().Header.Set("X-Path", c.Path())
		return c.SendString(c.Path() + c.Get("X-User"))
	}}
	s := listen(t, fibercache.New(cache), o.serve)
	const n = 200
	path := func(i int) (path, user string) { return fmt.Sprintf("/%0*d", 1+i%7, i), fmt.Sprint("user", i) }
	for range 2 {
		for i := range n {
			p, user := path(i)
			if a := s.get(p, "X-User", user); a.body != p+user || a.header.Get("X-Path") != p {
				t.Fatalf("%s: %q, %v", p, a.body, a.header)
			}
		}
	}
	o.expectRuns(t, n)
	for i := range 2 * n {
		p, user := path(i % n)
		want := []string{"GET", strings.TrimPrefix(s.url, "http://"), p, user}
		if got := kept[4*i : 4*i+4]; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("kept %q, want %q", got, want)
		}
	}
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

// The same URL has the same key on both servers.
func TestSharesWithNetHTTP(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: time.Minute})
	o := &origin{handler: func(c fiber.Ctx) error { return c.SendString("fiber") }}
	s := listen(t, fibercache.New(cache), o.serve)
	host := strings.TrimPrefix(s.url, "http://")
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s isn't found over net/http", r.URL)
	}))
	targets := []string{
		"/", "/a", "/a/", "/A", "//a//b", "/a%20b", "/a%2Fb", "/%C3%A4", "/a/../b", "/a?x", "/a?x=", "/a?y=1&x=2&y=0", "/a?x=%20+1",
		"/a;b=c?d;e", "/a?q=a%26b", "/~a/$b", "/a?x=%zz", "http://" + host + "/absolute?x",
	}
	for i, target := range targets {
		raw := rawGet(t, host, target)
		if !strings.Contains(raw, stored) {
			t.Errorf("%s: %s", target, raw)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: " + strings.ToUpper(host) + "\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Body.String() != "fiber" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %v, %q", target, w.Header(), w.Body)
		}
		o.expectRuns(t, int64(i+1))
	}
	// What net/http refuses is not cached.
	if raw := rawGet(t, host, "/%zz"); strings.Contains(raw, "Cache-Status") {
		t.Errorf("%s", raw)
	}
}

// rawGet sends a request target as it is, and returns the raw answer.
func rawGet(t *testing.T, host, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host)
	var b bytes.Buffer
	if _, err := b.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Names of header fields are as the client wrote them, if the app is configured so. The rules must see them all the same.
func TestFieldNamesInAnyCase(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		if c.Path() == "/private" {
			c.Set("cache-control", "private")
		}
		return c.SendString("hello")
	}}
	app := fiber.New(fiber.Config{DisableHeaderNormalizing: true})
	app.Get("/*", fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), o.serve)
	host := strings.TrimPrefix(start(t, app).url, "http://")
	for target, want := range map[string]string{
		"/a HTTP/1.1\r\naUTHORIZATION: x\r\nX-Any:": bypass + "\r",
		"/private": missed + "\r",
		"/b":       stored + "\r",
	} {
		if raw := rawGet(t, host, target); !strings.Contains(raw, "Cache-Status: "+want) {
			t.Errorf("%s: %s", target, raw)
		}
	}
}

func TestGETWithBody(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error { return c.SendString("hello") }}
	s := cached(t, httpcache.Options{TTL: time.Minute}, o.serve)
	s.get("/a").expect(t, 200, stored, "hello")
	r, err := http.NewRequest("GET", s.url+"/a", strings.NewReader("x=1"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.Header.Get("Cache-Status"); got != bypass {
		t.Errorf("Cache-Status: %s", got)
	}
}
