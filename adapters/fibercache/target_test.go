package fibercache_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Requests that a handler can tell apart never share a key: here it answers with all that it sees of the target.
func TestTargets(t *testing.T) {
	s := listen(t, fibercache.New(newCache(t, httpcache.Options{TTL: time.Hour})), func(c fiber.Ctx) error {
		return c.SendString(fmt.Sprintf("%q", []string{c.OriginalURL(), c.Host(), c.Get("Host"), c.Scheme(), c.Path()}))
	})
	host := strings.TrimPrefix(s.url, "http://")
	plain := fmt.Sprintf("%q", []string{"/s?q=shoes", host, host, "http", "/s"})
	s.get("/s?q=shoes").expect(t, 200, stored, plain)
	for _, head := range []string{
		`GET /s?q=shoes#"><script> HTTP/1.1` + "\r\nHost: " + host,
		"GET /s?q=shoes# HTTP/1.1\r\nHost: " + host,
		"GET http://" + host + "/s?q=shoes HTTP/1.1\r\nHost: " + host,
		"GET https://" + host + "/s?q=shoes HTTP/1.1\r\nHost: " + host,
		"GET http://user@" + host + "/s?q=shoes HTTP/1.1\r\nHost: " + host,
		"GET http://" + host + "/s?q=shoes HTTP/1.1\r\nHost: other.example",
		"GET http://" + host + "/s?q=shoes HTTP/1.1\r\nHost: another.example",
		"GET /s?q=shoes HTTP/1.1\r\nHost: user@" + host,
		"GET /%73?q=shoes HTTP/1.1\r\nHost: " + host,
		"GET /s?q=%73hoes HTTP/1.1\r\nHost: " + host,
	} {
		a := s.raw(head + "\r\n\r\n")
		if a.status == http.StatusBadRequest {
			continue // fasthttp refuses it
		}
		if a.body == plain || strings.Contains(a.header.Get("Cache-Status"), "hit") {
			t.Errorf("%q: %v, %q", head, a.header, a.body)
		}
		s.get("/s?q=shoes").expect(t, 200, "http; hit", plain)
	}
}

// A change removes what is stored for the same URL in another spelling.
func TestChangeOfOtherSpelling(t *testing.T) {
	s := listen(t, fibercache.New(newCache(t, httpcache.Options{TTL: time.Hour})), func(c fiber.Ctx) error { return c.SendString("hello") })
	host := strings.TrimPrefix(s.url, "http://")
	absolute := "GET http://" + host + "/a%2Fb/c HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	for _, head := range []string{
		"PUT /a%2Fb/c HTTP/1.1\r\nHost: " + host,
		"PUT /a%2fb/%63 HTTP/1.1\r\nHost: " + host,
		"PUT /a%2Fb/c# HTTP/1.1\r\nHost: " + host,
		"PUT /a%2Fb/c HTTP/1.1\r\nHost: user@" + host,
		"PUT http://" + host + "/a%2Fb/c HTTP/1.1\r\nHost: other.example",
		"PUT http://" + host + "/a%2Fb/c HTTP/1.1\r\nHost: " + host,
		"PUT https://" + host + "/a%2Fb/c HTTP/1.1\r\nHost: " + host,
	} {
		s.get("/a%2Fb/c").expect(t, 200, stored, "hello")
		s.raw(absolute).expect(t, 200, stored, "hello")
		s.raw(absolute).expect(t, 200, "http; hit", "hello")
		if a := s.raw(head + "\r\nContent-Length: 0\r\n\r\n"); a.status != 200 {
			t.Errorf("%q: %d", head, a.status)
		}
	}
	s.get("/a%2Fb/c").expect(t, 200, stored, "hello")
}
