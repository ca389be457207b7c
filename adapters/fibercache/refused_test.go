package fibercache_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
)

// raw sends bytes over a connection of their own, and returns the last of the responses.
func (s *server) raw(requests ...string) answer {
	s.t.Helper()
	answers := s.rawAll(requests...)
	return answers[len(answers)-1]
}

// rawAll is raw for all of the responses, the interim ones included.
func (s *server) rawAll(requests ...string) (answers []answer) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	for len(requests) > 0 {
		if n := len(answers); n == 0 || answers[n-1].status >= 200 {
			if _, err := io.WriteString(conn, requests[0]); err != nil {
				s.t.Fatal(err)
			}
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		res.Body.Close()
		answers = append(answers, answer{res.StatusCode, res.Header, string(body), res.ContentLength})
		if res.StatusCode >= 200 {
			requests = requests[1:]
		}
	}
	return answers
}

// tenant is a context of an app's own.
type tenant struct{ fiber.DefaultCtx }

// For a request that fasthttp refuses, Fiber runs the middleware without the routes: nothing answers, and the status looks
// like a 200.
func TestRefusedRequests(t *testing.T) {
	const (
		large    = " /page HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999\r\n\r\n"
		trailer  = " /page HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: y\r\n\r\n"
		accepted = "GET /other HTTP/1.1\r\nHost: HOST\r\n\r\n"
	)
	for name, app := range map[string]*fiber.App{
		"Ctx": fiber.New(),
		"Ctx of the app's own": fiber.NewWithCustomCtx(func(app *fiber.App) fiber.CustomCtx {
			return &tenant{DefaultCtx: *fiber.NewDefaultCtx(app)}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, httpcache.Options{TTL: time.Hour})
			o := &origin{handler: func(c fiber.Ctx) error { return c.SendString("the page") }}
			app.Use(fibercache.New(cache))
			app.Use(func(c fiber.Ctx) error {
				c.Set("X-Frame-Options", "DENY") // as helmet does
				return c.Next()
			})
			app.All("/*", o.serve)
			s := start(t, app)
			refused := func(status int, requests ...string) {
				t.Helper()
				host := strings.TrimPrefix(s.url, "http://")
				for i, request := range requests {
					requests[i] = strings.ReplaceAll(request, "HOST", host)
				}
				if a := s.raw(requests...); a.status != status || a.header.Get("Cache-Status") != "" || a.header.Get("Etag") != "" {
					t.Errorf("%d, %v, want %d and nothing of the cache", a.status, a.header, status)
				}
			}

			// Nothing is stored,
			refused(http.StatusBadRequest, "GET"+trailer)
			refused(http.StatusBadRequest, accepted, "GET"+trailer)
			s.get("/page").expect(t, 200, stored, "the page")
			s.get("/page").expect(t, 200, "http; hit", "the page")

			// nor removed, nor served.
			for _, method := range []string{"POST", "PUT", "DELETE"} {
				refused(http.StatusRequestEntityTooLarge, method+large)
				refused(http.StatusBadRequest, accepted, method+trailer)
			}
			refused(http.StatusBadRequest, "GET"+trailer)
			s.get("/page").expect(t, 200, "http; hit", "the page")
			o.expectRuns(t, 2)
		})
	}
}

// As on net/http, a run that answered nothing isn't stored.
func TestNothingAnswered(t *testing.T) {
	for name, h := range map[string]fiber.Handler{
		"a return":                     func(fiber.Ctx) error { return nil },
		"an error that nobody reports": func(c fiber.Ctx) error { _ = c.Next(); return nil },
		"a dropped connection":         func(c fiber.Ctx) error { return c.Drop() },
	} {
		t.Run(name, func(t *testing.T) {
			dropped := strings.HasPrefix(name, "a dropped")
			var answers atomic.Bool
			cache := newCache(t, httpcache.Options{TTL: time.Hour})
			s := listen(t, fibercache.New(cache), func(c fiber.Ctx) error {
				if answers.Load() {
					return c.SendString("hello")
				}
				return h(c)
			})
			switch {
			case dropped:
				if res, err := s.client.Get(s.url + "/a"); err == nil {
					res.Body.Close()
					t.Errorf("an answer: %v", res.Status)
				}
			case strings.HasPrefix(name, "an error"):
				s.get("/a").expect(t, 200, "", "")
			default:
				s.get("/a").expect(t, 200, missed, "")
			}
			answers.Store(true)
			observe.Until(t, "it is stored", func() bool { // a dropped connection is noticed before the run is over
				a := s.get("/a")
				if a.body != "hello" {
					t.Errorf("%d, %v, %q: want hello", a.status, a.header, a.body)
				}
				return strings.HasPrefix(a.header.Get("Cache-Status"), stored)
			})
		})
	}
}
