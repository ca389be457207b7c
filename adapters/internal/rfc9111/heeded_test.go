package rfc9111_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

func TestHeeded(t *testing.T) {
	for name, want := range map[string]rfc9111.Heeds{
		"Cache-Control":       rfc9111.HeedsDirectives,
		"Pragma":              rfc9111.HeedsDirectives,
		"If-Match":            rfc9111.HeedsOrigin,
		"If-Unmodified-Since": rfc9111.HeedsOrigin,
		"Upgrade":             rfc9111.HeedsOrigin,
		"If-None-Match":       rfc9111.HeedsConditions,
		"If-Modified-Since":   rfc9111.HeedsConditions,
		"Range":               rfc9111.HeedsRange,
		"If-Range":            0, // says nothing alone
		"Authorization":       rfc9111.HeedsUser,
		"Connection":          rfc9111.HeedsOrigin,
	} {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := rfc9111.Heeded(spelled); got != name {
				t.Errorf("Heeded(%q) is %q, want %q", spelled, got, name)
			}
		}
		few, many := http.Header{"User-Agent": {"x"}}, http.Header{"User-Agent": {"x"}, "Accept": {"x"}, "Cookie": {"x"}, "Referer": {"x"}}
		for _, h := range []http.Header{few, many} {
			h[name] = []string{"x"}
			if got := rfc9111.HeedsOf(h); got != want {
				t.Errorf("HeedsOf(%v) is %b, want %b", h, got, want)
			}
			h[name] = nil
			if got := rfc9111.HeedsOf(h); got != 0 {
				t.Errorf("HeedsOf(%v) is %b", h, got)
			}
		}
	}
	for _, name := range []string{"", "Accept", "Cookie", "If-Rangf", "If-Matcg", "Content-Typex", "Accept-Encode", "Rang\u0113", "\u017fange"} {
		if got := rfc9111.Heeded(name); got != "" {
			t.Errorf("Heeded(%q) is %q", name, got)
		}
	}
}

func TestHeedsOrigin(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request http.Header
		want    bool
	}{
		{"nothing", nil, false},
		{"§4.3.2 If-Match", fields("If-Match", `"a"`), true},
		{"§4.3.2 If-Unmodified-Since", fields("If-Unmodified-Since", "x"), true},
		{"RFC 9110 §7.8 Upgrade", fields("Upgrade", "websocket"), true},
		{"RFC 9110 §7.8 Upgrade to this very protocol", fields("Upgrade", "h2c", "Connection", "Upgrade, HTTP2-Settings"), false},
		{"RFC 9110 §7.8 Upgrade to several", fields("Upgrade", "H2C, websocket"), true},
		{"RFC 9110 §7.6.1 Connection", fields("Connection", "keep-alive", "Connection", "Close, TE"), false},
		{"RFC 9110 §7.6.1 Connection with a field", fields("Connection", "close, X-Tenant"), true},
		{"RFC 9110 §7.6.1 Connection with a field of the cache's", fields("Connection", "Cache-Control"), true},
		{"even if it is empty", fields("If-Match", ""), true},
		{"§4.3.2 If-None-Match and If-Modified-Since", fields("If-None-Match", `"a"`, "If-Modified-Since", httpDate(noon)), false},
		{"§3.5 Authorization", fields("Authorization", "Bearer x"), false},
		{"§3.3 Range", fields("Range", "bytes=0-1", "If-Range", `"a"`), false},
		{"Cookie", fields("Cookie", "a=b"), false},
		{"§5.2.1 directives", fields("Cache-Control", "no-store"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.HeedsOf(tc.request)&rfc9111.HeedsOrigin != 0; got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// No rule says anything else of a request when the fields that aren't heeded are left out.
func FuzzHeeded(f *testing.F) {
	f.Add("Cache-Control", "no-cache", "Accept", "*/*")
	f.Add("If-None-Match", `"1"`, "Range", "bytes=0-1")
	f.Add("Pragma", "no-cache", "If-Modified-Since", "Mon, 23 Nov 2026 09:00:00 GMT")
	f.Add("range", "bytes=0-1", "if-range", `"1"`)
	f.Add("Upgrade", "h2c", "Authorization", "Basic YQ==")
	f.Add("Upgrade", "h2c, websocket", "Connection", "close, X-Tenant")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		whole, part := http.Header{}, http.Header{}
		whole.Add(name1, value1)
		whole.Add(name2, value2)
		for name, lines := range whole {
			if key := rfc9111.Heeded(name); key == name {
				part[key] = slices.Clone(lines)
			}
		}
		v := rfc9111.Validators{ETag: `"1"`, LastModified: "Mon, 23 Nov 2026 09:00:00 GMT"}
		if rfc9111.ParseDirectives(whole) != rfc9111.ParseDirectives(part) || rfc9111.HeedsOf(whole) != rfc9111.HeedsOf(part) ||
			rfc9111.NotModified(whole, v) != rfc9111.NotModified(part, v) || rfc9111.RangeApplies(whole, v) != rfc9111.RangeApplies(part, v) {
			t.Errorf("%q is not the same as %q", part, whole)
		}
		h := rfc9111.HeedsOf(whole)
		passes := len(whole["If-Match"])+len(whole["If-Unmodified-Since"]) > 0 ||
			others(whole["Upgrade"], "h2c", "h2", "http/2.0") ||
			others(whole["Connection"], "close", "keep-alive", "upgrade", "te", "trailer", "transfer-encoding", "proxy-connection", "http2-settings")
		if h&rfc9111.HeedsDirectives == 0 && rfc9111.ParseDirectives(whole) != rfc9111.NoDirectives ||
			h&rfc9111.HeedsConditions == 0 && rfc9111.NotModified(whole, v) || (h&rfc9111.HeedsOrigin != 0) != passes {
			t.Errorf("of %q a step is left out that it calls for: %b", whole, h)
		}
	})
}

// others reports whether a field has other members than these.
func others(lines []string, known ...string) bool {
	for _, member := range strings.Split(strings.Join(lines, ","), ",") {
		if member = strings.ToLower(strings.Trim(member, " \t")); member != "" && !slices.Contains(known, member) {
			return true
		}
	}
	return false
}
