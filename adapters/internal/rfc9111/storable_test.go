package rfc9111_test

import (
	"net/http"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §3.
func TestStorable(t *testing.T) {
	cc := func(value string) http.Header { return fields("Cache-Control", value) }
	auth := fields("Authorization", "Basic x")
	for _, tc := range []struct {
		name     string
		request  http.Header
		status   int
		response http.Header
		why      string
	}{
		{"bare", nil, 200, nil, ""},
		{"with everything usual", fields("Accept", "*/*", "Cookie", "a=b"), 200,
			fields("Cache-Control", "public, max-age=5, must-revalidate", "Etag", `"a"`, "Content-Type", "text/html", "Vary", "Accept"), ""},
		{"§5.2.1.5", cc("no-store"), 200, cc("max-age=5"), "request no-store"},
		{"§5.2.1.4", cc("no-cache"), 200, nil, ""},
		{"§5.2.2.5 no-store", nil, 200, fields("Cache-Control", "max-age=5", "Cache-Control", "NO-STORE"), "no-store"},
		{"§5.2.2.7 private", nil, 200, cc("private, s-maxage=5"), "private"},
		{"§5.2.2.7 private with fields", nil, 200, cc(`private="x"`), ""},
		{"§5.2.2.7 both forms", nil, 200, cc(`private="x", private`), "private"},
		{"§5.2.2.7 a token isn't fields", nil, 200, cc("private=1"), "private"},
		{"§5.2.2.7 before a semicolon", nil, 200, cc("private; max-age=60"), "private"},
		{"§5.2.2.4 no-cache", nil, 200, cc("no-cache"), ""},
		{"§5.4 Pragma says nothing in a response", nil, 200, fields("Pragma", "no-cache"), ""},

		{"§5.2.2.3 understood", nil, 200, cc("max-age=5, no-store, must-understand"), ""},
		{"§5.2.2.3 not understood", nil, 299, cc("max-age=5, must-understand"), "must-understand"},
		{"§5.2.2.3 not understood, no-store", nil, 599, cc("no-store, must-understand"), "must-understand"},
		{"§5.2.2.3 private counts", nil, 200, cc("private, must-understand"), "private"},

		{"§3.5 Authorization", auth, 200, cc("max-age=5"), "authorization"},
		{"§3.5 empty Authorization", fields("Authorization", ""), 200, cc("max-age=5"), "authorization"},
		{"§3.5 public", auth, 200, cc("public"), ""},
		{"§3.5 s-maxage", auth, 200, cc("s-maxage=5"), ""},
		{"§3.5 must-revalidate", auth, 200, cc("must-revalidate"), ""},
		{"§3.5 proxy-revalidate", auth, 200, cc("proxy-revalidate"), "authorization"},

		{"§3.3 206", nil, 206, fields("Content-Range", "bytes 0-4/10"), ""},
		{"§3.3 206 without Content-Range", nil, 206, nil, "content-range"},
		{"§3.3 206 with two", nil, 206, fields("Content-Range", "bytes 0-4/10", "Content-Range", "bytes 5-9/10"), "content-range"},
		{"§3.3 206 of another unit", nil, 206, fields("Content-Range", "lines 0-4/10"), "content-range"},
		{"§3.3 206 of several ranges", nil, 206, fields("Content-Type", "Multipart/Byteranges; boundary=x", "Content-Range", "bytes 0-4/10"), "content-range"},

		{"§4.1 Vary: *", nil, 200, fields("Vary", "Accept", "Vary", "*"), "vary"},
		{"§4.1 a Vary that can't be read", nil, 200, fields("Vary", "Accept Cookie"), "vary"},

		{"RFC 9213 §2.2 stored by the one field", nil, 200, fields("Cdn-Cache-Control", "max-age=5", "Cache-Control", "private, no-store"), ""},
		{"RFC 9213 §2.2 not stored by it", nil, 200, fields("Cdn-Cache-Control", "no-store", "Cache-Control", "public"), "no-store"},
		{"RFC 9213 §2.1 stored by the other", nil, 200, fields("Cdn-Cache-Control", "max-age=5,", "Cache-Control", "private"), "private"},

		{"a name that no rule would find", nil, 200, http.Header{"set-cookie": {"a=b"}}, "field name"},
		{"events", nil, 200, fields("Content-Type", "Text/Event-Stream; charset=utf-8"), "event stream"},
		{"§7.3 Set-Cookie", nil, 200, fields("Set-Cookie", "a=b", "Cache-Control", "max-age=5"), "set-cookie"},
		{"§7.3 Set-Cookie with public", nil, 200, fields("Set-Cookie", "a=b", "Cache-Control", "public"), ""},
		{"§7.3 Set-Cookie with s-maxage", nil, 200, fields("Set-Cookie", "a=b", "Cache-Control", "s-maxage=5"), ""},
		{"§5.2.2.7 Set-Cookie that isn't stored", nil, 200, fields("Set-Cookie", "a=b", "Cache-Control", `private="set-cookie"`), ""},
		{"§5.2.2.4 Set-Cookie that isn't stored", nil, 200, fields("Set-Cookie", "a=b", "Cache-Control", `no-cache="X, Set-Cookie"`), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ok, why := rfc9111.Storable(tc.request, tc.status, tc.response, rfc9111.Rules{})
			if why != tc.why || ok != (tc.why == "") {
				t.Errorf("%v, %q, want %q", ok, why, tc.why)
			}
		})
	}
	if ok, why := rfc9111.Storable(nil, 200, fields("Set-Cookie", "a=b"), rfc9111.Rules{SetCookie: true}); !ok {
		t.Errorf("not stored though Rules say so: %s", why)
	}
}

// RFC 9111 §3, RFC 9110 §15.
func TestStorableStatus(t *testing.T) {
	for status := -1; status < 1000; status++ {
		final := status >= 200 && status < 600
		want := final && status != 206 && status != 304 && status != 416
		if got, _ := rfc9111.Storable(nil, status, fields("Cache-Control", "max-age=5"), rfc9111.Rules{}); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
	for _, status := range []int{200, 203, 204, 301, 302, 303, 307, 308, 400, 404, 410, 421, 500, 502, 503, 504} {
		if ok, why := rfc9111.Storable(nil, status, fields("Cache-Control", "must-understand"), rfc9111.Rules{}); !ok {
			t.Errorf("%d isn't understood: %s", status, why)
		}
	}
	unknown := []int{207, 299, 306, 399, 418, 451, 499, 511, 599}
	for _, status := range unknown {
		if ok, _ := rfc9111.Storable(nil, status, fields("Cache-Control", "must-understand"), rfc9111.Rules{}); ok {
			t.Errorf("%d is understood", status)
		}
	}
}
