package rawtest

import (
	"slices"
	"strings"
)

// Seeds returns pairs of connections, of which one might get or overwrite the response stored for the other.
func Seeds() (pairs [][2][]byte) {
	last := usual
	for _, other := range slices.Concat(refused, targets, queries, hosts, bodies, conditions) {
		pairs = append(pairs, [2][]byte{[]byte(usual), []byte(other)})
		pairs = append(pairs, [2][]byte{[]byte(last), []byte(other)}) // requests next to each other are similar
		last = other
	}
	for _, other := range variants {
		pairs = append(pairs, [2][]byte{[]byte(variant), []byte(other)})
	}
	return pairs
}

// head returns the head of a request.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

const host = "Host: example.com"

// usual is paired with most seeds, and variant with those of a response that varies.
var (
	usual   = head("GET /s/a?q=shoes HTTP/1.1", host)
	variant = head("GET /vary/tag HTTP/1.1", host, "X-A: 1, 2")
)

var (
	refused = []string{
		head("POST /s/a?q=shoes HTTP/1.1", host, "Content-Length: 99999999"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Content-Length: 99999999"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Transfer-Encoding: chunked") + "0\r\nHost: y\r\n\r\n",
		head("GET /s/a?q=shoes HTTP/1.1"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Host: other.example"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Content-Length: 1", "Content-Length: 2"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n",
		head("GET /s/a?q=shoes HTTP/1.1", host, " folded: line"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Bad Name: x"),
		head("G@T /s/a?q=shoes HTTP/1.1", host),
		head("GET s/a HTTP/1.1", host),
		head("GET /s/a?q=shoes HTTP/3.7", host),
	}
	targets = []string{
		head(`GET /s/a?q=shoes#"><script> HTTP/1.1`, host),
		head("GET /s/a?q=shoes# HTTP/1.1", host),
		head("GET /s/a#?q=shoes HTTP/1.1", host),
		head("GET http://example.com/s/a?q=shoes HTTP/1.1", host),
		head("GET http://EXAMPLE.com:80/s/a?q=shoes HTTP/1.1", host),
		head("GET https://example.com/s/a?q=shoes HTTP/1.1", host),
		head("GET http://other.example/s/a?q=shoes HTTP/1.1", host),
		head("GET http://user:word@example.com/s/a?q=shoes HTTP/1.1", host),
		head("GET http://example.com/s/a?q=shoes HTTP/1.1", "Host: other.example"),
		head("GET http://example.com/s/a?q=shoes HTTP/1.1", "Host: another.example"),
		head("GET //example.com/s/a?q=shoes HTTP/1.1", host),
		head("GET example.com:/s/a?q=shoes HTTP/1.1", host),
		head("GET mailto:s/a?q=shoes HTTP/1.1", host),
		head("GET /s//a?q=shoes HTTP/1.1", host),
		head("GET /s/./a?q=shoes HTTP/1.1", host),
		head("GET /s/b/../a?q=shoes HTTP/1.1", host),
		head("GET /s%2Fa?q=shoes HTTP/1.1", host),
		head("GET /s%2fa?q=shoes HTTP/1.1", host),
		head("GET /s/%61?q=shoes HTTP/1.1", host),
		head("GET /%73/a?q=shoes HTTP/1.1", host),
		head(`GET /s/a"?q=shoes HTTP/1.1`, host),
		head("GET /s/a%22?q=shoes HTTP/1.1", host),
		head("GET /s/a|?q=shoes HTTP/1.1", host),
		head("GET /s/a%?q=shoes HTTP/1.1", host),
		head("GET /s/a%00?q=shoes HTTP/1.1", host),
		head("GET /s/\xc3\xa9?q=shoes HTTP/1.1", host),
		head("GET /s/a/?q=shoes HTTP/1.1", host),
		head("GET /s/a? HTTP/1.1", host),
		head("GET /s/a HTTP/1.1", host),
		head("OPTIONS * HTTP/1.1", host),
		head("CONNECT example.com:80 HTTP/1.1", host),
	}
	queries = []string{
		head("GET /s/a?q=%73hoes HTTP/1.1", host),
		head(`GET /s/a?q="><script> HTTP/1.1`, host),
		head("GET /s/a?q=%22%3E%3Cscript%3E HTTP/1.1", host),
		head("GET /s/a?q=shoes;b=1 HTTP/1.1", host),
		head("GET /s/a?b=1;q=shoes HTTP/1.1", host),
		head("GET /s/a?q=shoes&&b HTTP/1.1", host),
		head("GET /s/a?b&q=shoes HTTP/1.1", host),
		head("GET /s/a?b=&q=shoes HTTP/1.1", host),
		head("GET /s/a?q=shoes&q=boots HTTP/1.1", host),
		head("GET /s/a?q=boots&q=shoes HTTP/1.1", host),
		head("GET /s/a?q=shoes? HTTP/1.1", host),
		head("GET /s/a?q=%zz HTTP/1.1", host),
		head("GET /s/a?q=a:b HTTP/1.1", host),
		head("GET /s/a?q=a+b HTTP/1.1", host),
	}
	hosts = []string{
		head("GET /s/a?q=shoes HTTP/1.1", "Host: EXAMPLE.com"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: example.com:80"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: example.com:080"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: example.com:"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: example.com:443"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: example.com."),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: user@example.com"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: example.com/s"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host: [::1]:80"),
		head("GET /s/a?q=shoes HTTP/1.1", "Host:"),
		head("GET /s/a?q=shoes HTTP/1.0"),
	}
	bodies = []string{
		head("HEAD /s/a?q=shoes HTTP/1.1", host),
		head("QUERY /s/a?q=shoes HTTP/1.1", host, "Content-Length: 1") + "x",
		head("PUT /s/a?q=shoes HTTP/1.1", host, "Content-Length: 1") + "x",
		head("POST /s/a?q=shoes HTTP/1.1", host, "Transfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n",
		head("POST /s/a?q=shoes HTTP/1.1", host, "Transfer-Encoding: chunked") + "zz\r\n",
		head("PUT /s/%61?q=shoes HTTP/1.1", host, "Content-Length: 0"),
		head("PUT /s/a?q=shoes# HTTP/1.1", host, "Content-Length: 0"),
		head("PUT /s/a?q=shoes HTTP/1.1", "Host: user@example.com", "Content-Length: 0"),
		head("DELETE http://example.com/s/a?q=shoes HTTP/1.1", host),
		head("PATCH /s/a?q=shoes HTTP/1.1", "Host: EXAMPLE.com:80"),
		head("PUT /s/a?q=shoes HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 1") + "x",
		head("get /s/a?q=shoes HTTP/1.1", host),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Content-Length: 1") + "x",
		head("GET /s/a?q=shoes HTTP/1.1", host, "Transfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n",
		head("GET /s/a?q=shoes HTTP/1.1", host, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Upgrade: websocket", "Connection: Upgrade"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Connection: close, X-A", "X-A: acme"),
		usual + head("GET /s/b HTTP/1.1", host) + head("HEAD /s/a?q=shoes HTTP/1.1", host),
		head("HEAD /s/a?q=shoes HTTP/1.1", host) + usual,
	}
	conditions = []string{
		head("GET /s/a?q=shoes HTTP/1.1", host, "If-None-Match: *"),
		head("GET /s/a?q=shoes HTTP/1.1", host, `If-None-Match: "1", W/"2"`),
		head("HEAD /s/a?q=shoes HTTP/1.1", host, "If-Modified-Since: Mon, 01 Jan 2080 00:00:00 GMT"),
		head("GET /s/a?q=shoes HTTP/1.1", host, `If-Match: "1"`),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Range: bytes=3-5"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Range: bytes=-5"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Range: bytes=9999-"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Range: bytes=0-1,3-4"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Range: bytes=0-1", `If-Range: "1"`),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Cache-Control: only-if-cached"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Cache-Control: no-cache"),
		head("GET /s/a?q=shoes HTTP/1.1", host, "Cache-Control: no-store", "Authorization: Basic YTpi"),
	}
	variants = []string{
		head("GET /vary/tag HTTP/1.1", host, "X-A: 1", "X-A: 2"),
		head("GET /vary/tag HTTP/1.1", host, "X-A: 2", "X-A: 1"),
		head("GET /vary/tag HTTP/1.1", host, "x-a:1,2"),
		head("GET /vary/tag HTTP/1.1", host, "X-A:"),
		head("GET /vary/tag HTTP/1.1", host, `X-A: "1, 2"`),
		head("GET /vary/tag HTTP/1.1", host, "X-A: 1,, 2"),
		head("GET /vary/tag HTTP/1.1", host, "X-A: 1, 2", "X-B: x"),
		head("GET /vary/tag HTTP/1.1", host, "X-A: 1, 2", "Connection: X-A"),
		head("GET /vary/tag HTTP/1.1", host, "X-A: 1, 2", "If-None-Match: *"),
		head("GET /vary/tag HTTP/1.1", host, "X-A: 1, 2", "Range: bytes=0-3"),
		head("HEAD /vary/tag HTTP/1.1", host, "X-A: 3"),
		head("PUT /vary/tag HTTP/1.1", host, "X-A: 3"),
		head("GET /vary/tag HTTP/1.1", host),
	}
)
