package rfc9111_test

import (
	"net/http"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §3.
func TestStorable(t *testing.T) {
	for _, tc := range []struct {
		name     string
		method   string
		request  http.Header
		status   int
		response http.Header
		why      string
	}{
		{"bare", "GET", nil, 200, nil, ""},
		{"with everything usual", "GET", fields("Accept", "*/*"), 200,
			fields("Cache-Control", "public, max-age=5, must-revalidate", "Etag", `"a"`, "Content-Type", "text/html"), ""},
		{"HEAD", "HEAD", nil, 200, nil, "method"},
		{"POST", "POST", nil, 200, nil, "method"},
		{"§3.5 Authorization", "GET", fields("Authorization", "Basic x"), 200, fields("Cache-Control", "public"), "authorization"},
		{"§5.2.1.5", "GET", fields("Cache-Control", "no-store"), 200, nil, "request no-store"},
		{"201", "GET", nil, 201, nil, "status"},
		{"§3.3 206", "GET", nil, 206, nil, "status"},
		{"304", "GET", nil, 304, nil, "status"},
		{"404", "GET", nil, 404, nil, "status"},
		{"500", "GET", nil, 500, nil, "status"},
		{"§7.3 Set-Cookie", "GET", nil, 200, fields("Set-Cookie", "a=b"), "set-cookie"},
		{"§4.1 Vary", "GET", nil, 200, fields("Vary", "Accept"), "vary"},
		{"§4.1 Vary: *", "GET", nil, 200, fields("Vary", "*"), "vary"},
		{"a name that no rule would find", "GET", nil, 200, http.Header{"set-cookie": {"a=b"}}, "field name"},
		{"events", "GET", nil, 200, fields("Content-Type", "Text/Event-Stream; charset=utf-8"), "event stream"},
		{"§5.2.2.5 no-store", "GET", nil, 200, fields("Cache-Control", "max-age=5", "Cache-Control", "NO-STORE"), "no-store"},
		{"§5.2.2.7 private", "GET", nil, 200, fields("Cache-Control", "private, s-maxage=5"), "private"},
		{"§5.2.2.7 private with fields", "GET", nil, 200, fields("Cache-Control", `private="x"`), "private"},
		{"§5.2.2.4 no-cache", "GET", nil, 200, fields("Cache-Control", "no-cache"), "no-cache"},
		{"§5.2.2.4 no-cache with fields", "GET", nil, 200, fields("Cache-Control", `no-cache="x", max-age=5`), "no-cache"},
		{"§5.4 Pragma says nothing in a response", "GET", nil, 200, fields("Pragma", "no-cache"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ok, why := rfc9111.Storable(tc.method, tc.request, tc.status, tc.response)
			if why != tc.why || ok != (tc.why == "") {
				t.Errorf("%v, %q, want %q", ok, why, tc.why)
			}
		})
	}
}

// RFC 9111 §3.1, RFC 9110 §7.6.1.
func TestStoredFields(t *testing.T) {
	h := fields("Connection", "close, x-hop ,, Keep-Alive", "Connection", "X-Other", "Trailer", "x-sum")
	stored := rfc9111.Stored(h)
	for name, want := range map[string]bool{
		"Content-Type": true, "Etag": true, "Date": true, "Cache-Control": true, "Expires": true, "X-Any": true,
		"Connection": false, "Keep-Alive": false, "Proxy-Connection": false, "Te": false, "Transfer-Encoding": false,
		"Upgrade": false, "Proxy-Authenticate": false, "Proxy-Authentication-Info": false, "Proxy-Authorization": false,
		"Trailer": false, "Trailer:X-Sum": false, "": false, "X Any": false, "X\r\nAny": false, "Content-Length": false, "Age": false,
		"X-Hop": false, "X-Other": false, "X-Sum": false,
	} {
		if got := stored(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if !rfc9111.Stored(nil)("X-Hop") {
		t.Error("without Connection, X-Hop is not stored")
	}
}

// RFC 9110 §15.4.5.
func TestInNotModified(t *testing.T) {
	for _, name := range []string{"Cache-Control", "Content-Location", "Date", "Etag", "Expires", "Vary", "Age", "Cache-Status",
		"Access-Control-Allow-Origin"} {
		if !rfc9111.InNotModified(name, true) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Last-Modified"} {
		if rfc9111.InNotModified(name, true) {
			t.Errorf("%s is there", name)
		}
	}
	if !rfc9111.InNotModified("Last-Modified", false) {
		t.Error("Last-Modified is missing without an ETag")
	}
}
