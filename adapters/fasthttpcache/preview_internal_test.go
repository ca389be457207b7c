package fasthttpcache

import (
	"bufio"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// A preview says of a request what the whole does, and there is none of a request that isn't taken.
func FuzzPreview(f *testing.F) {
	f.Add("GET", "/a?b=c&d", "a.example", "If-None-Match", `"1"`, "if-none-match", `"2"`)
	f.Add("HEAD", "/a//b/../c", "A.example:80", "Accept", "*/*", "range", "bytes=0-1")
	f.Add("GET", "/a%20b?c=%20", "", "Cache-Control", "no-cache", "Pragma", "")
	f.Add("POST", "http://b.example/a?b?c", "a.example", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "c.example")
	f.Add("GET", "/a|b#c", "a.example", "Content-Length", "3", "Transfer-Encoding", "chunked")
	f.Add("GET", "*", "a.example", "Upgrade", "h2c", "Connection", "upgrade")
	framework := new(Framework[*call])
	f.Fuzz(func(t *testing.T, method, target, host, name1, value1, name2, value2 string) {
		for _, s := range []string{method, target, host, name1, value1, name2, value2} {
			if strings.ContainsAny(s, "\r\n") {
				t.Skip()
			}
		}
		raw := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + name1 + ": " + value1 + "\r\n" + name2 + ": " + value2 + "\r\n\r\n"
		var in fasthttp.RequestCtx
		if in.Request.Header.Read(bufio.NewReader(strings.NewReader(raw))) != nil {
			t.Skip()
		}
		c := &call{ctx: &in}
		brief, whole := &exchange[*call]{f: framework, c: c}, &exchange[*call]{f: framework, c: c}
		if !brief.preview() {
			return
		}
		if err := whole.parse(); err != nil {
			t.Fatalf("a preview of %q, but %v", raw, err)
		}
		g, r := brief.request, whole.request
		if g.Method != r.Method || g.Host != r.Host || *g.URL != *r.URL || g.ContentLength != r.ContentLength {
			t.Errorf("%q: %+v, want %+v", raw, g, r)
		}
		maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return httpcache.RelevantField(name) == "" })
		if !maps.EqualFunc(g.Header, r.Header, slices.Equal[[]string]) {
			t.Errorf("%q: %q, want %q", raw, g.Header, r.Header)
		}
		if request := brief.Request(); !maps.EqualFunc(request.Header, fullHeader(framework, c), slices.Equal[[]string]) {
			t.Errorf("%q: after a preview %q, want %q", raw, request.Header, fullHeader(framework, c))
		}
	})
}

func fullHeader(f *Framework[*call], c *call) http.Header {
	x := &exchange[*call]{f: f, c: c}
	_ = x.parse()
	return x.request.Header
}
