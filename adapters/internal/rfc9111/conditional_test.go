package rfc9111_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

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

// RFC 9110 §8.8.3.2: the weak comparison's column of the table.
func TestWeakMatch(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{`W/"1"`, `W/"1"`, true}, {`W/"1"`, `W/"2"`, false}, {`W/"1"`, `"1"`, true}, {`"1"`, `"1"`, true}, {`"1"`, `"A"`, false},
	} {
		a, _ := rfc9111.ParseETag(tc.a)
		b, _ := rfc9111.ParseETag(tc.b)
		if a.WeakMatch(b) != tc.want || b.WeakMatch(a) != tc.want {
			t.Errorf("%s and %s: want %v", a, b, tc.want)
		}
	}
	if (rfc9111.ETag{}).WeakMatch(rfc9111.ETag{}) {
		t.Error("no tag matches no tag")
	}
}

// RFC 9110 §13.1.2, §13.1.3, RFC 9111 §4.3.2.
func TestNotModified(t *testing.T) {
	past, future := httpDate(noon.Add(-time.Hour)), httpDate(noon.Add(time.Hour))
	both := rfc9111.Validators{ETag: `"a"`, LastModified: httpDate(noon), Date: httpDate(noon)}
	weak := rfc9111.Validators{ETag: `W/"a"`}
	dated := rfc9111.Validators{Date: httpDate(noon)}
	for _, tc := range []struct {
		name    string
		request http.Header
		stored  rfc9111.Validators
		want    bool
	}{
		{"no condition", nil, both, false},
		{"tag", fields("If-None-Match", `"a"`), both, true},
		{"other tag", fields("If-None-Match", `"b"`), both, false},
		{"weak in the request", fields("If-None-Match", `W/"a"`), both, true},
		{"weak in the store", fields("If-None-Match", `"a"`), weak, true},
		{"list", fields("If-None-Match", `"x", W/"y" ,"a"`), both, true},
		{"lines", fields("If-None-Match", `"x"`, "If-None-Match", `"a"`), both, true},
		{"a comma in a tag", fields("If-None-Match", `"x,"a","`), both, false},
		{"empty members", fields("If-None-Match", `, ,"a",`), both, true},
		{"unquoted", fields("If-None-Match", `a`), both, false},
		{"before the junk", fields("If-None-Match", `"a" junk`), both, true},
		{"after the junk", fields("If-None-Match", `junk, "a"`), both, false},
		{"star", fields("If-None-Match", ` * `), both, true},
		{"star without validators", fields("If-None-Match", `*`), rfc9111.Validators{}, true},
		{"star in a list is no star", fields("If-None-Match", `"x", *`), both, false},
		{"empty", fields("If-None-Match", ``), both, false},
		{"no stored tag", fields("If-None-Match", `"a"`), dated, false},
		{"since later", fields("If-Modified-Since", future), both, true},
		{"since then", fields("If-Modified-Since", httpDate(noon)), both, true},
		{"since before", fields("If-Modified-Since", past), both, false},
		{"since, without Last-Modified", fields("If-Modified-Since", future), dated, true},
		{"since, without any date", fields("If-Modified-Since", future), weak, false},
		{"since what?", fields("If-Modified-Since", "yesterday"), both, false},
		{"two dates", fields("If-Modified-Since", future, "If-Modified-Since", future), both, false},
		{"the tag decides against the date", fields("If-None-Match", `"b"`, "If-Modified-Since", future), both, false},
		{"the tag decides for it", fields("If-None-Match", `"a"`, "If-Modified-Since", past), both, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.NotModified(tc.request, tc.stored); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
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
