package fasthttpcache_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/fasthttpcache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

// seconds are what differs between two hits of a response, beside the server's Date.
var seconds = regexp.MustCompile(`(?m)^(Age: |Cache-Status:.*ttl=|Date: .*:)\d+`)

// memory is a connection whose client sends some bytes.
type memory struct {
	net.Conn
	in  *strings.Reader
	out strings.Builder
}

func (m *memory) Read(p []byte) (int, error)  { return m.in.Read(p) }
func (m *memory) Write(p []byte) (int, error) { return m.out.Write(p) }
func (m *memory) Close() error                { return nil }
func (m *memory) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (m *memory) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

// A header that is copied as a whole is the one that is set field by field, whatever handlers around the cache have set, and also if two
// servers share a cache.
func TestHeadersAreTheSame(t *testing.T) {
	type handler = func(*fasthttp.RequestCtx)
	inner := func(ctx *fasthttp.RequestCtx) {
		h := &ctx.Response.Header
		h.Set("Etag", `"1"`)
		h.Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
		switch string(ctx.Path()) {
		case "/server":
			h.SetServer("own")
		case "/untyped":
			h.SetNoDefaultContentType(true)
		case "/lines":
			h.Add("Link", "<a>")
			h.Add("Link", "<b>")
		}
		_, _ = ctx.WriteString("hello")
	}
	outer := map[string]handler{
		"nothing":  func(*fasthttp.RequestCtx) {},
		"field":    func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("X-Request-Id", "7") },
		"vary":     func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("Link", "<c>") },
		"type":     func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetContentType("text/x") },
		"message":  func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetStatusMessage([]byte("Fine")) },
		"protocol": func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetProtocol([]byte("HTTP/1.0")) },
		"close":    func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetConnectionClose() },
		"spelling": func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.DisableNormalizing() },
		"server":   func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetServer("outer") },
	}
	servers := map[string]*fasthttp.Server{
		"default": {}, "named": {Name: "a", NoDefaultServerHeader: true}, "undated": {NoDefaultDate: true, NoDefaultServerHeader: true},
		"as spelled": {DisableHeaderNamesNormalizing: true, NoDefaultServerHeader: true}, "untyped": {NoDefaultContentType: true, NoDefaultServerHeader: true},
	}
	shared := newCache(t, httpcache.Options{TTL: time.Hour}) // all servers' hits follow those of others
	send := func(server *fasthttp.Server, cache *httpcache.Cache, around handler, request string) string {
		cached := fasthttpcache.New(cache, server)(inner)
		server.Handler = func(ctx *fasthttp.RequestCtx) {
			around(ctx)
			cached(ctx)
			ctx.Response.Header.Set("x-after", "1")
		}
		conn := &memory{in: strings.NewReader(request)}
		if err := server.ServeConn(conn); err != nil {
			t.Fatal(err)
		}
		return seconds.ReplaceAllString(conn.out.String(), "$1")
	}
	for _, path := range []string{"/", "/server", "/untyped", "/lines"} {
		for _, request := range []string{"GET " + path, "HEAD " + path, "GET " + path + " If-None-Match"} {
			method, rest, _ := strings.Cut(request, " ")
			target, conditional, _ := strings.Cut(rest, " ")
			raw := method + " " + target + " HTTP/1.1\r\nHost: a.example\r\n"
			if conditional != "" {
				raw += conditional + ": \"1\"\r\n"
			}
			raw += "\r\n"
			want := make(map[[2]string]string) // each alone in a cache, so that there are too few hits to make anything of
			for name, server := range servers {
				for what, around := range outer {
					alone := newCache(t, httpcache.Options{TTL: time.Hour})
					send(servers["default"], alone, outer["nothing"], "GET "+target+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
					want[[2]string{name, what}] = send(server, alone, around, raw)
				}
			}
			send(servers["default"], shared, outer["nothing"], "GET "+target+" HTTP/1.1\r\nHost: a.example\r\n\r\n")
			for range 4 {
				for name, server := range servers {
					for what, around := range outer {
						if got := send(server, shared, around, raw); got != want[[2]string{name, what}] {
							t.Errorf("%s, server %q, around it %q:\n%s\nwant\n%s", request, name, what, got, want[[2]string{name, what}])
						}
					}
				}
			}
		}
	}
}
