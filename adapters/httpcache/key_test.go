package httpcache_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
)

// echo is an origin that answers with what it is asked.
func echo() *origin {
	return &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, r.URL.RequestURI())
	}}
}

// What tells resources apart is in the key. A parameter that is ignored is one by the rules of net/url, and no other.
func TestKeyOptions(t *testing.T) {
	o := httpcache.Options{TTL: minute, IgnoreQuery: []string{"utm_*", "fbclid"}, KeyHeaders: []string{"x-tenant"}}
	for _, tc := range []struct {
		first, second string
		fields        []string
		same          bool
	}{
		{"/?a=1&b=2", "/?b=2&a=1", nil, true},
		{"/?a=1&a=2", "/?a=2&a=1", nil, false},
		{"/?a=1", "/?a=1&utm_source=x&fbclid=y&utm_source=z", nil, true},
		{"/?a=1", "/?a=1&utm%5Fsource=x", nil, true},
		{"/?a=1", "/?a=1&UTM_source=x", nil, false},
		{"/?a=1", "/?a=1&utm_source=x;a=2", nil, false},  // cloaked for who splits at ';'
		{"/?a=1", "/?a=1&utm_source=x%26a=2", nil, true}, // which no parser takes for an a
		{"/?a=1", "/?a=1&a=2&utm_x=1", nil, false},
		{"/?a=1", "/?a=1&%zzutm_x=1", nil, false},
		{"/?a", "/?a=", nil, false},
		{"/a%2Fb", "/a/b", nil, false},
		{"/a/../b", "/b", nil, false},
		{"/me", "/me/x.css", nil, false},
		{"/me", "/me%00", nil, false},
		{"/me", "/me;x.css", nil, false},
		{"/me", "/me?x.css", nil, false},
		{"/", "http://other.example/", nil, false},
		{"/", "http://example.com:8080/", nil, false},
		{"/", "/", []string{"X-Tenant", "b"}, false},
		{"/", "/", []string{"X-Forwarded-Host", "evil"}, true}, // the handler's duty: see the documentation
	} {
		h := newCache(t, o).Handler(echo())
		get(h, tc.first)
		if w := get(h, tc.second, tc.fields...); isHit(w) != tc.same {
			t.Errorf("%s and %s %v: a hit: %v", tc.first, tc.second, tc.fields, !tc.same)
		}
	}
}

// What isn't in the key is in the response's Vary, or nobody may make anything of it: then poison doesn't reach others.
func TestVaryStopsPoison(t *testing.T) {
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "Forwarded"} {
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", name)
			fmt.Fprint(w, "at ", r.Header.Get(name))
		}}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		get(h, "/a", name, "evil")
		if w := get(h, "/a"); w.Body.String() != "at " {
			t.Errorf("%s: %q", name, w.Body)
		}
		get(h, "/b")
		if w := get(h, "/b", name, "evil"); w.Body.String() != "at evil" {
			t.Errorf("%s: %q", name, w.Body)
		}
	}
}

// A NUL, which the cache's own keys have, doesn't make a key one of those.
func TestNULInKey(t *testing.T) {
	h := newCache(t, httpcache.Options{TTL: minute, Key: func(r *http.Request) string { return r.Header.Get("X-Key") }}).Handler(
		&origin{handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%q", r.Header.Get("X-Key")) }})
	for range 2 {
		for _, key := range []string{"a", "a\x00part", "a\x00", "\x00", "\x00a", strings.Repeat("a", 5000), strings.Repeat("a", 5001)} {
			r := request("GET", "/")
			r.Header["X-Key"] = []string{key}
			if w := serve(h, r); w.Body.String() != fmt.Sprintf("%q", key) {
				t.Errorf("%.20q got %.40q", key, w.Body)
			}
		}
	}
}

// Requests of shapes that one server reads otherwise than the next: none leaves anything for another.
func TestSmuggling(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %q", r.Method, body)
	}}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	for _, head := range []string{
		"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
		"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nevil",
		"GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil!",
		"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nevil",
		"GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\nevil",
		"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\nX Y: z\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, head)
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if status := res.Header.Get("Cache-Status"); strings.Contains(status, "stored") || strings.Contains(status, "hit") {
				t.Errorf("%.80q: %s", head, status)
			}
		}
		_ = conn.Close()
	}
	expectMiss(t, s, "/a", `GET ""`)
	expectHit(t, s, "/a", `GET ""`)
}

// A stored value that would be a line of its own, in Redis or out of it, isn't.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := text("hello", "X-Any", "a\r\nSet-Cookie: evil=1")
	h := newCache(t, httpcache.Options{TTL: minute, Redis: connect(t, server)}).Handler(o)
	s := listenAs(t, h)
	for range 2 {
		if res, _ := fetch(t, s, "/a"); res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%v", res.Header)
		}
	}
	data, err := codec.Msgpack.Marshal(map[string]any{
		"s": 200, "h": []string{"X-Any", "a\r\nSet-Cookie: evil=1"}, "b": []byte("planted"), "l": int64(minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Do("SET", "tc:http:get://example.com/b:", string(data))
	expect(t, get(h, "/b"), 200, stored, "hello")
	// A part in the place of the whole is nobody's answer.
	data, err = codec.Msgpack.Marshal(map[string]any{"s": 206, "b": []byte("pl"), "l": int64(minute), "p": 3, "n": 10})
	if err != nil {
		t.Fatal(err)
	}
	for i, fields := range [][]string{nil, {"Range", "bytes=0-1"}, {"Range", "bytes=9-"}} {
		target := fmt.Sprint("/c", i)
		server.Do("SET", "tc:http:get://example.com"+target+":", string(data))
		if w := get(h, target, fields...); w.Code != 200 || w.Body.String() != "hello" {
			t.Errorf("%d, %v, %q", w.Code, w.Header(), w.Body)
		}
	}
}
