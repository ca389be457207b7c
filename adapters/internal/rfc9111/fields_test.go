package rfc9111_test

import (
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §3.1, RFC 9110 §7.6.1.
func TestStoredFields(t *testing.T) {
	h := fields("Connection", "close, x-hop ,, Keep-Alive", "Connection", "X-Other", "Trailer", "x-sum")
	stored := rfc9111.Stored(h, rfc9111.Shared)
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
	listed := rfc9111.Stored(fields("Cache-Control", `private="set-cookie, X-User", no-cache="X-Now", no-store="X-Other"`), rfc9111.Shared)
	for name, want := range map[string]bool{"Set-Cookie": false, "X-User": false, "X-Now": false, "X-Other": true, "Etag": true} {
		if got := listed(name); got != want { // §5.2.2.4, §5.2.2.7
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	targeted := rfc9111.Stored(fields("Cdn-Cache-Control", `private="X-User"`, "Cache-Control", `private="X-Other"`), rfc9111.Shared)
	if targeted("X-User") || !targeted("X-Other") { // RFC 9213 §2.2
		t.Error("CDN-Cache-Control doesn't say what is stored")
	}
	if !rfc9111.Stored(nil, rfc9111.Shared)("X-Hop") {
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

// RFC 9111 §3.2.
func TestUpdates(t *testing.T) {
	for name, want := range map[string]bool{
		"Cache-Control": true, "Date": true, "Expires": true, "Last-Modified": true, "Content-Type": true, "Content-Location": true,
		"Content-Md5": true, "Set-Cookie": true, "Vary": true, "X-Any": true,
		"Content-Length": false, "Content-Encoding": false, "Content-Range": false, "Etag": false, "Transfer-Encoding": false,
		"Connection": false, "Age": false, "Proxy-Authenticate": false, "Trailer": false, "": false,
	} {
		if got := rfc9111.Updates(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
