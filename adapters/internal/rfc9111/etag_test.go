package rfc9111_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9110 §8.8.3.
func TestParseETag(t *testing.T) {
	for s, want := range map[string]rfc9111.ETag{
		`"a"`:        {Opaque: `"a"`},
		` "a" `:      {Opaque: `"a"`},
		`W/"a"`:      {Opaque: `"a"`, Weak: true},
		`""`:         {Opaque: `""`},
		`"a,b;c\"`:   {Opaque: `"a,b;c\"`},
		"\"\u00e9\"": {Opaque: "\"\u00e9\""},
		`a`:          {},
		``:           {},
		`"a`:         {},
		`a"`:         {},
		`w/"a"`:      {},
		`W/ "a"`:     {},
		`W/a`:        {},
		`"a b"`:      {},
		`"a" "b"`:    {},
		`"a", "b"`:   {},
		"\"a\x7f\"":  {},
		"\"a\r\"":    {},
	} {
		got, ok := rfc9111.ParseETag(s)
		if wantOK := want != (rfc9111.ETag{}); ok != wantOK || ok && got != want {
			t.Errorf("ParseETag(%q) = %+v, %v, want %+v", s, got, ok, want)
		}
	}
}

// RFC 9110 §8.8.3.2: the table there, and one line more.
func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		a, b         string
		strong, weak bool
	}{
		{`W/"1"`, `W/"1"`, false, true}, {`W/"1"`, `W/"2"`, false, false}, {`W/"1"`, `"1"`, false, true}, {`"1"`, `"1"`, true, true},
		{`"1"`, `"A"`, false, false},
	} {
		a, _ := rfc9111.ParseETag(tc.a)
		b, _ := rfc9111.ParseETag(tc.b)
		if a.WeakMatch(b) != tc.weak || b.WeakMatch(a) != tc.weak {
			t.Errorf("%s and %s: want %v, weakly", a, b, tc.weak)
		}
		if a.StrongMatch(b) != tc.strong || b.StrongMatch(a) != tc.strong {
			t.Errorf("%s and %s: want %v, strongly", a, b, tc.strong)
		}
	}
	if none := (rfc9111.ETag{}); none.WeakMatch(none) || none.StrongMatch(none) {
		t.Error("no tag matches no tag")
	}
}

func FuzzETagList(f *testing.F) {
	for _, s := range []string{`"a"`, `W/"a", "b"`, `*`, `"a,"b"`, `,, "a" x`, `W/`, `"`} {
		f.Add(s, `"a"`)
	}
	f.Fuzz(func(t *testing.T, list, stored string) {
		tag, valid := rfc9111.ParseETag(stored)
		if valid {
			if again, ok := rfc9111.ParseETag(tag.String()); !ok || again != tag {
				t.Errorf("%q is read as %+v", stored, tag)
			}
		}
		match := rfc9111.NotModified(http.Header{"If-None-Match": {list}}, rfc9111.Validators{ETag: stored})
		if star := strings.Trim(list, " \t") == "*"; match && !star && (!valid || !strings.Contains(list, tag.Opaque)) {
			t.Errorf("%q matches %q", list, stored)
		}
		if with := (http.Header{"If-None-Match": {list, stored}}); valid && !rfc9111.NotModified(with, rfc9111.Validators{ETag: stored}) {
			t.Errorf("%q on its own line doesn't match itself", stored)
		}
	})
}
