package rfc9111_test

import (
	"net/http"
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
