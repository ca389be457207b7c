package rfc9111_test

import (
	"net/http"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9110 §12.5.3, for a cache that has br and gzip and prefers br.
func TestEncoding(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{nil, "identity"},
		{[]string{""}, "identity"},
		{[]string{"gzip"}, "gzip"},
		{[]string{"GZip"}, "gzip"},
		{[]string{"x-gzip"}, "gzip"},
		{[]string{"gzip, deflate, br"}, "br"},
		{[]string{"gzip", "br"}, "br"},
		{[]string{"deflate"}, "identity"},
		{[]string{"br;q=0, gzip;q=0.001"}, "gzip"},
		{[]string{"br;q=0.1, gzip"}, "br"},
		{[]string{"*"}, "br"},
		{[]string{"*, br;q=0"}, "gzip"},
		{[]string{"br;q=0, *"}, "gzip"},
		{[]string{"*;q=0"}, "identity"},
		{[]string{"*;q=0, gzip"}, "gzip"},
		{[]string{"identity"}, "identity"},
		{[]string{"identity;q=0, br"}, "br"},
		{[]string{"identity;q=0"}, "identity"},
		{[]string{"br;q=2"}, "br"}, // a parameter that codings don't have
		{[]string{"br gzip"}, "identity"},
	} {
		if got := rfc9111.Encoding(tc.lines, []string{"br", "gzip"}); got != tc.want {
			t.Errorf("%q: %s, want %s", tc.lines, got, tc.want)
		}
	}
	if got := rfc9111.Encoding([]string{"gzip"}, nil); got != "identity" {
		t.Errorf("without codings: %s", got)
	}
}

// RFC 9110 §12.5.4.
func TestFirstLanguage(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"de"}, "de"},
		{[]string{"de-CH, de;q=0.9, *;q=0.1"}, "de-ch"},
		{[]string{"fr;q=0.5, de;q=1.0"}, "de"},
		{[]string{"fr;q=0.5", "de"}, "de"},
		{[]string{"en, de"}, ""},
		{[]string{"en, de, en"}, ""},
		{[]string{"en, en, fr;q=0.1"}, "en"},
		{[]string{"en;q=0.3, de;q=0.3, fr;q=0.4"}, "fr"},
		{[]string{"*"}, ""},
		{[]string{"*, en;q=0.5"}, ""},
		{[]string{"*, en"}, ""},
		{[]string{"en;q=0"}, ""},
		{[]string{"en;q=0, de;q=0.001"}, "de"},
		{[]string{"en;q=2, de;q=0.5"}, ""},
		{[]string{"en;q=0.1234, de"}, ""},
		{[]string{"en;x=1"}, ""},
		{[]string{"e n"}, ""},
		{[]string{"en_US"}, ""},
	} {
		tag, ok := rfc9111.FirstLanguage(http.Header{"Accept-Language": tc.lines})
		if tag != tc.want || ok != (tc.want != "") {
			t.Errorf("%q: %q, %v, want %q", tc.lines, tag, ok, tc.want)
		}
	}
}

// RFC 9110 §12.4.2: what is a weight, as it shows in whether zero forbids.
func TestWeight(t *testing.T) {
	for value, forbids := range map[string]bool{
		"q=0": true, "Q=0": true, "q=0.": true, "q=0.0": true, "q=0.000": true, " \tq=0 ": true,
		"q=0.0000": false, "q=0.001": false, "q=00": false, "q=-0": false, "q= 0": false, "q =0": false, "q": false, "q=": false, "q=.0": false,
		"q=0,0": true, `q="0"`: false, "x=0": false,
	} {
		if got := rfc9111.Encoding([]string{"br;" + value}, []string{"br"}) == "identity"; got != forbids {
			t.Errorf("%q forbids: %v, want %v", value, got, forbids)
		}
	}
}
