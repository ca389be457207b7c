package rfc9111_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

func TestRelevantField(t *testing.T) {
	for name, want := range map[string]rfc9111.Relevant{
		"Cache-Control":       rfc9111.RelevantDirectives,
		"Pragma":              rfc9111.RelevantDirectives,
		"If-Match":            rfc9111.RelevantOrigin,
		"If-Unmodified-Since": rfc9111.RelevantOrigin,
		"Upgrade":             rfc9111.RelevantOrigin,
		"If-None-Match":       rfc9111.RelevantConditions,
		"If-Modified-Since":   rfc9111.RelevantConditions,
		"Range":               rfc9111.RelevantRange,
		"If-Range":            0, // says nothing alone
		"Authorization":       rfc9111.RelevantUser,
		"Connection":          rfc9111.RelevantOrigin,
	} {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := rfc9111.RelevantField(spelled); got != name {
				t.Errorf("RelevantField(%q) is %q, want %q", spelled, got, name)
			}
		}
		few, many := http.Header{"User-Agent": {"x"}}, http.Header{"User-Agent": {"x"}, "Accept": {"x"}, "Cookie": {"x"}, "Referer": {"x"}}
		for _, h := range []http.Header{few, many} {
			h[name] = []string{"x"}
			if got := rfc9111.RelevantOf(h); got != want {
				t.Errorf("RelevantOf(%v) is %b, want %b", h, got, want)
			}
			h[name] = nil
			if got := rfc9111.RelevantOf(h); got != 0 {
				t.Errorf("RelevantOf(%v) is %b", h, got)
			}
		}
	}
	for _, name := range []string{"", "Accept", "Cookie", "If-Rangf", "If-Matcg", "Content-Typex", "Accept-Encode", "Rang\u0113", "\u017fange"} {
		if got := rfc9111.RelevantField(name); got != "" {
			t.Errorf("RelevantField(%q) is %q", name, got)
		}
	}
}

func TestRelevantOrigin(t *testing.T) {
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
			if got := rfc9111.RelevantOf(tc.request)&rfc9111.RelevantOrigin != 0; got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// No rule says anything else of a request when the fields that aren't heeded are left out.
func FuzzRelevantField(f *testing.F) {
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
			if key := rfc9111.RelevantField(name); key == name {
				part[key] = slices.Clone(lines)
			}
		}
		v := rfc9111.Validators{ETag: `"1"`, LastModified: "Mon, 23 Nov 2026 09:00:00 GMT"}
		if rfc9111.ParseDirectives(whole) != rfc9111.ParseDirectives(part) || rfc9111.RelevantOf(whole) != rfc9111.RelevantOf(part) ||
			rfc9111.NotModified(whole, v) != rfc9111.NotModified(part, v) || rfc9111.RangeApplies(whole, v) != rfc9111.RangeApplies(part, v) {
			t.Errorf("%q is not the same as %q", part, whole)
		}
		h := rfc9111.RelevantOf(whole)
		passes := len(whole["If-Match"])+len(whole["If-Unmodified-Since"]) > 0 ||
			others(whole["Upgrade"], "h2c", "h2", "http/2.0") ||
			others(whole["Connection"], "close", "keep-alive", "upgrade", "te", "trailer", "transfer-encoding", "proxy-connection", "http2-settings")
		if h&rfc9111.RelevantDirectives == 0 && rfc9111.ParseDirectives(whole) != rfc9111.NoDirectives ||
			h&rfc9111.RelevantConditions == 0 && rfc9111.NotModified(whole, v) || (h&rfc9111.RelevantOrigin != 0) != passes {
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
