package rfc9111_test

import (
	"net/http"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// fields makes a header of name, value, name, value...
func fields(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestRequestUse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		method string
		header http.Header
		use    rfc9111.Use
		why    rfc9111.Forward
	}{
		{"GET", "GET", nil, rfc9111.Reuse, ""},
		{"HEAD", "HEAD", nil, rfc9111.Reuse, ""},
		{"§4 POST", "POST", nil, rfc9111.Pass, rfc9111.ForMethod},
		{"§4 unknown method", "get", nil, rfc9111.Pass, rfc9111.ForMethod},
		{"§3.5 Authorization", "GET", fields("Authorization", "Bearer x"), rfc9111.Pass, rfc9111.ForBypass},
		{"§3.5 empty Authorization", "GET", fields("Authorization", ""), rfc9111.Pass, rfc9111.ForBypass},
		{"§3.3 Range", "GET", fields("Range", "bytes=0-1"), rfc9111.Pass, rfc9111.ForBypass},
		{"§4.3.2 If-Match", "GET", fields("If-Match", `"a"`), rfc9111.Pass, rfc9111.ForBypass},
		{"§4.3.2 If-Unmodified-Since", "GET", fields("If-Unmodified-Since", "x"), rfc9111.Pass, rfc9111.ForBypass},
		{"§4.3.2 If-None-Match", "GET", fields("If-None-Match", `"a"`), rfc9111.Reuse, ""},
		{"RFC 9110 §7.8 Upgrade", "GET", fields("Upgrade", "websocket"), rfc9111.Pass, rfc9111.ForBypass},
		{"§5.2.1.5 no-store", "GET", fields("Cache-Control", "no-store"), rfc9111.Pass, rfc9111.ForRequest},
		{"§5.2.1.5 no-store over no-cache", "GET", fields("Cache-Control", "no-cache, no-store"), rfc9111.Pass, rfc9111.ForRequest},
		{"§5.2.1.4 no-cache", "GET", fields("Cache-Control", "No-Cache"), rfc9111.Reload, rfc9111.ForRequest},
		{"§5.2.1.1 max-age=0", "GET", fields("Cache-Control", "max-age=0"), rfc9111.Reload, rfc9111.ForRequest},
		{"§5.2.1.1 max-age=60", "GET", fields("Cache-Control", "max-age=60"), rfc9111.Reuse, ""},
		{"§5.4 Pragma", "GET", fields("Pragma", "no-cache"), rfc9111.Reload, rfc9111.ForRequest},
		{"§5.4 Pragma beside Cache-Control", "GET", fields("Pragma", "no-cache", "Cache-Control", "max-age=60"), rfc9111.Reuse, ""},
		{"§5.4 another Pragma", "GET", fields("Pragma", "x"), rfc9111.Reuse, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if use, why := rfc9111.RequestUse(tc.method, tc.header); use != tc.use || why != tc.why {
				t.Errorf("%v, %q, want %v, %q", use, why, tc.use, tc.why)
			}
		})
	}
}
