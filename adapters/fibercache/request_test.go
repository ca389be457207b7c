package fibercache_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

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

// Without functions of the user's most hits are found by what is in Fiber's buffers. What a miss keeps isn't: neither its key,
// nor what its response varies by.
func TestPreviewsAreNotKept(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		if strings.Contains(c.Path(), "vary") {
			c.Set("Vary", "X-User")
		}
		return c.SendString(c.OriginalURL() + c.Get("X-User"))
	}}
	s := listen(t, fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), o.serve)
	const n = 200
	for range 3 {
		for i := range n {
			path, user := fmt.Sprintf("/%0*d?q=%d", 1+i%7, i, i%11), ""
			if i%3 == 0 {
				path, user = "/vary"+path, fmt.Sprint("user", i)
			}
			if a := s.get(path, "X-User", user, "Cache-Control", "max-age=60"); a.body != path+user {
				t.Fatalf("%s: %q", path, a.body)
			}
			if a := s.get(path, "X-User", user, "Range", "bytes=1-2"); a.status != 206 || a.body != (path + user)[1:3] {
				t.Fatalf("%s: %d, %q", path, a.status, a.body)
			}
		}
	}
	o.expectRuns(t, n)
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
		"/a HTTP/1.1\r\naUTHORIZATION: x\r\nX-Any:": missed + "; detail=authorization\r",
		"/private": missed + "; detail=private\r",
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

// Behind a trusted proxy the key has the host that the handlers see.
func TestForwardedHost(t *testing.T) {
	app := fiber.New(fiber.Config{TrustProxy: true, TrustProxyConfig: fiber.TrustProxyConfig{Loopback: true}})
	app.Get("/*", fibercache.New(newCache(t, httpcache.Options{TTL: time.Minute})), func(c fiber.Ctx) error {
		return c.SendString(c.Hostname())
	})
	s := start(t, app)
	for _, want := range []string{stored, "http; hit"} {
		for _, host := range []string{"a.example", "b.example"} {
			s.get("/a", "X-Forwarded-Host", host).expect(t, 200, want, host)
		}
	}
}

// Paths that Fiber's handlers tell apart don't share a response.
func TestSpellingsOfAPath(t *testing.T) {
	s := cached(t, httpcache.Options{TTL: time.Minute}, func(c fiber.Ctx) error { return c.SendString("[" + c.Path() + "]") })
	host := strings.TrimPrefix(s.url, "http://")
	for _, pair := range [][2]string{
		{"/a|b", "/a%7Cb"}, {"/\xc3\xa4", "/%C3%A4"}, {`/a"b`, "/a%22b"}, {"/a{b", "/a%7Bb"}, {"/a^b", "/a%5Eb"},
	} {
		for range 2 {
			for _, path := range pair {
				if raw := rawGet(t, host, path); !strings.HasSuffix(raw, "["+path+"]") {
					t.Errorf("%q: %s", path, raw)
				}
			}
		}
	}
}
