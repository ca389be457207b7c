package fibercache_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/timeout"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

const behind = "max-age=0, stale-while-revalidate=60"

func TestStaleWhileRevalidate(t *testing.T) {
	type key struct{}
	type run struct{ id, url, match, addr, value string }
	runs, gate := make(chan run, 2), make(chan struct{})
	o := &origin{}
	o.handler = func(c fiber.Ctx) error {
		n := o.runs.Load()
		value, _ := c.Context().Value(key{}).(string)
		if n <= 2 {
			runs <- run{
				strings.Clone(c.Get("X-Id")), strings.Clone(c.OriginalURL()), strings.Clone(c.Get("If-None-Match")),
				c.RequestCtx().RemoteAddr().String(), value,
			}
		}
		if n > 1 {
			<-gate
		}
		c.Set("Cache-Control", behind)
		return c.SendString(fmt.Sprint("run ", n))
	}
	var outer atomic.Int64
	s := listen(t, func(c fiber.Ctx) error {
		c.SetContext(context.WithValue(c.Context(), key{}, fmt.Sprint("outer ", outer.Add(1))))
		c.Path("/rewritten" + c.Path())
		return c.Next()
	}, fibercache.New(newCache(t, httpcache.Options{})), o.serve)
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before the cache waits for a run

	s.get("/a?b=c", "X-Id", "1").expect(t, 200, stored, "run 1")
	observe.Until(t, "a run behind", func() bool { // which nobody waits for
		s.get("/a?b=c", "X-Id", "2", "If-None-Match", `"x"`).expect(t, 200, "http; hit", "run 1")
		return len(runs) == 2
	})
	first, second := <-runs, <-runs
	if want := (run{"2", "/a?b=c", "", first.addr, second.value}); second != want {
		t.Errorf("the run behind has %q, want %q", second, want)
	}
	if first.value != "outer 1" || second.value == "outer 1" || second.value == "" {
		t.Errorf("contexts of %q and %q: want one of each run", first.value, second.value)
	}
	open()
	observe.Until(t, "a new response", func() bool { return s.get("/a?b=c").body != "run 1" })
}

// What a run behind leaves behind it is nobody's: the stale response stays, and the app goes on.
func TestFailureBehind(t *testing.T) {
	for name, fails := range map[string]fiber.Handler{
		"an error":  func(fiber.Ctx) error { return errors.New("down") },
		"a panic":   func(fiber.Ctx) error { panic("down") },
		"a status":  func(c fiber.Ctx) error { return c.SendStatus(503) },
		"a timeout": timeout.New(func(c fiber.Ctx) error { <-c.Context().Done(); return nil }, timeout.Config{Timeout: time.Millisecond}),
		"a hijack": func(c fiber.Ctx) error {
			c.RequestCtx().Hijack(func(net.Conn) { t.Error("the connection isn't there to be had") })
			return nil
		},
		"hints": func(c fiber.Ctx) error {
			c.Set("Link", "</a>")
			return c.RequestCtx().EarlyHints()
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.handler = func(c fiber.Ctx) error {
				switch o.runs.Load() {
				case 1:
					c.Set("Cache-Control", behind)
					return c.SendString("hello")
				case 2:
					return fails(c)
				}
				c.Set("Cache-Control", "max-age=60")
				return c.SendString("hello again")
			}
			s := cached(t, httpcache.Options{}, o.serve)
			s.get("/a").expect(t, 200, stored, "hello")
			s.get("/a").expect(t, 200, "http; hit", "hello")
			observe.Until(t, "a new response", func() bool { return s.get("/a").body == "hello again" })
		})
	}
}

// A stream that nobody reads is closed.
func TestStreamBehind(t *testing.T) {
	closed := make(chan struct{})
	o := &origin{}
	o.handler = func(c fiber.Ctx) error {
		c.Set("Cache-Control", behind)
		if o.runs.Load() == 2 {
			return c.SendStream(closer{strings.NewReader("hello"), closed})
		}
		return c.SendString("hello")
	}
	s := cached(t, httpcache.Options{}, o.serve)
	s.get("/a")
	observe.Until(t, "the stream is closed", func() bool {
		s.get("/a").expect(t, 200, "http; ", "hello")
		select {
		case <-closed:
			return true
		default:
			return false
		}
	})
}

type closer struct {
	io.Reader
	closed chan struct{}
}

func (c closer) Close() error { close(c.closed); return nil }

// Caches around the one that renews let the run behind pass, though they may have an answer.
func TestNestedBehind(t *testing.T) {
	o := &origin{}
	o.handler = func(c fiber.Ctx) error {
		c.Set("Cache-Control", behind)
		return c.SendString(fmt.Sprint("run ", o.runs.Load()))
	}
	outer := newCache(t, httpcache.Options{Name: "outer"})
	inner := fibercache.New(newCache(t, httpcache.Options{Name: "inner"}))
	s := listen(t, fibercache.New(outer), func(c fiber.Ctx) error {
		err := c.Next()
		c.Set("Cache-Control", "max-age=1000")
		return err
	}, inner, inner, o.serve)
	for range 2 { // the second one has the inner cache renew what it has
		if a := s.get("/a"); a.body != "run 1" {
			t.Errorf("%q, %v", a.body, a.header)
		}
		observe.Until(t, "the outer cache has it", func() bool {
			return strings.Contains(strings.Join(s.get("/a").header["Cache-Status"], ", "), "outer; hit")
		})
		if err := outer.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	observe.Until(t, "the inner cache has a new one", func() bool {
		if err := outer.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s.get("/a").body != "run 1"
	})
}

// Requests whose buffers Fiber reuses, while copies of them are under way behind.
func TestManyBehind(t *testing.T) {
	var wrong atomic.Pointer[string]
	s := cached(t, httpcache.Options{}, func(c fiber.Ctx) error {
		path, user := strings.Clone(c.Path()), strings.Clone(c.Get("X-User"))
		time.Sleep(time.Duration(len(path)%3) * time.Millisecond)
		if c.Path() != path || c.Get("X-User") != user || "/"+user != path {
			text := fmt.Sprintf("%q became %q, %q became %q", path, c.Path(), user, c.Get("X-User"))
			wrong.Store(&text)
		}
		c.Set("Cache-Control", behind)
		c.Set("X-Path", c.Path())
		return c.Send(bytes.Repeat([]byte(path), 10))
	})
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for i := range 100 {
				user := fmt.Sprintf("%0*d", 1+(i+client)%5, i%4)
				a := s.get("/"+user, "X-User", user)
				if a.body != strings.Repeat("/"+user, 10) || a.header.Get("X-Path") != "/"+user {
					t.Errorf("%s: %q, %v", user, a.body, a.header)
				}
			}
		})
	}
	wg.Wait()
	if text := wrong.Load(); text != nil {
		t.Error(*text)
	}
}

// Behind a TLS connection the handlers see one, and what is stored is not for others.
func TestTLS(t *testing.T) {
	o := &origin{}
	o.handler = func(c fiber.Ctx) error {
		state := c.RequestCtx().TLSConnectionState()
		c.Set("Cache-Control", behind)
		return c.SendString(fmt.Sprint(c.Scheme(), " ", state != nil && state.HandshakeComplete, " ", o.runs.Load()))
	}
	cache := newCache(t, httpcache.Options{})
	app := fiber.New()
	app.Get("/*", fibercache.New(cache), o.serve)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	if err != nil {
		t.Fatal(err)
	}
	s := startOn(t, app, ln)
	s.url = strings.Replace(s.url, "http:", "https:", 1)
	s.get("/a").expect(t, 200, stored, "https true 1")
	observe.Until(t, "a response made behind", func() bool { return s.get("/a").body != "https true 1" })
	if a := s.get("/a"); !strings.HasPrefix(a.body, "https true ") {
		t.Errorf("behind: %q", a.body)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// What a handler answers to HEAD is no response to keep, and what it is asked for behind is what it would be asked for
// before the client.
func TestWhatIsAskedForBehind(t *testing.T) {
	o := &origin{handler: func(c fiber.Ctx) error {
		c.Set("Cache-Control", behind)
		c.Vary("Accept-Encoding")
		if c.Method() == "HEAD" {
			return nil
		}
		return c.SendString(fmt.Sprint(c.Get("Accept-Encoding"), c.Get("Range"), c.Get("If-None-Match")))
	}}
	s := cached(t, httpcache.Options{Encodings: []string{"gzip"}}, o.serve)
	const coding = "deflate, gzip;q=0.5"
	s.get("/a", "Accept-Encoding", coding).expect(t, 200, stored, "gzip")
	for range 20 {
		if a := s.send("HEAD", "/a", "Accept-Encoding", coding); a.length != int64(len("gzip")) {
			t.Errorf("HEAD: %d, %v", a.length, a.header)
		}
	}
	runs := o.runs.Load()
	observe.Until(t, "three runs behind", func() bool {
		a := s.get("/a", "Accept-Encoding", coding, "Range", "bytes=0-1", "If-None-Match", `"x"`)
		a.expect(t, 206, "http; hit", "gz")
		return o.runs.Load() > runs+2
	})
	s.get("/a", "Accept-Encoding", coding).expect(t, 200, "http; hit", "gzip")
}

// What answers a run behind on its way, or sends it elsewhere, leaves the stale response, and stores nothing under another
// key.
func TestBehindDoesNotReachTheCache(t *testing.T) {
	for name, outer := range map[string]fiber.Handler{
		"redirect":      func(c fiber.Ctx) error { return c.Redirect().To("/login") },
		"other URL":     func(c fiber.Ctx) error { c.Path("/b"); return c.Next() },
		"other variant": func(c fiber.Ctx) error { c.Request().Header.Set("X-Lang", "fr"); return c.Next() },
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.handler = func(c fiber.Ctx) error {
				c.Set("Cache-Control", behind)
				c.Vary("X-Lang")
				return c.SendString(fmt.Sprint("run ", o.runs.Load()))
			}
			var sent atomic.Int64
			s := listen(t, func(c fiber.Ctx) error {
				if c.Get("X-Once") == "used" {
					sent.Add(1)
					return outer(c)
				}
				c.Request().Header.Set("X-Once", "used") // as a token that is good for one request
				return c.Next()
			}, fibercache.New(newCache(t, httpcache.Options{})), o.serve)
			s.get("/a").expect(t, 200, stored, "run 1")
			observe.Until(t, "a run behind", func() bool { s.get("/a"); return sent.Load() > 0 })
			if a := s.get("/b"); strings.Contains(a.header.Get("Cache-Status"), "hit") {
				t.Errorf("/b is stored: %v", a.header)
			}
			if a := s.get("/a", "X-Lang", "fr"); strings.Contains(a.header.Get("Cache-Status"), "hit") {
				t.Errorf("the variant is stored: %v", a.header)
			}
			observe.Until(t, "it is renewed before it is served", func() bool {
				return strings.Contains(s.get("/a").header.Get("Cache-Status"), "detail=foreground")
			})
		})
	}
}
