package rfc9111_test

import (
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9651 §3, §4.2: what is a Dictionary, as it shows in whether a CDN-Cache-Control field counts.
func TestDictionary(t *testing.T) {
	for _, tc := range []struct {
		section string
		lines   []string
		valid   bool
	}{
		{"§4.2 nothing", []string{""}, false},
		{"§4.2 spaces", []string{"  "}, false},
		{"§4.2 spaces around", []string{" a=1 "}, true},
		{"§4.2 a tab before", []string{"\ta"}, false},
		{"§4.2 lines are one list", []string{"a=1", "b"}, true},
		{"§4.2 an empty line", []string{"a=1", ""}, false},
		{"§4.2.2 key alone", []string{"a"}, true},
		{"§4.2.2 members", []string{"a=1 \t,\t b ,c=?0"}, true},
		{"§4.2.2 comma at the end", []string{"a,"}, false},
		{"§4.2.2 comma at the start", []string{",a"}, false},
		{"§4.2.2 two commas", []string{"a,,b"}, false},
		{"§4.2.2 no comma", []string{"a b"}, false},
		{"§4.2.2 no value", []string{"a="}, false},
		{"§4.2.2 space before =", []string{"max-age =1"}, false},
		{"§4.2.2 space after =", []string{"max-age= 1"}, false},
		{"§4.2.3.3 key", []string{"*a-b_c.d*9=1"}, true},
		{"§4.2.3.3 upper case", []string{"Max-Age=1"}, false},
		{"§4.2.3.3 upper case within", []string{"max-Age=1"}, false},
		{"§4.2.3.3 digit", []string{"9=1"}, false},
		{"§4.2.3.3 no key", []string{"=1"}, false},
		{"§4.2.3.2 parameters", []string{`a=1;b;c=2; d="x", e;f`}, true},
		{"§4.2.3.2 space before a parameter", []string{"a=1 ;b"}, false},
		{"§4.2.3.2 parameter without a name", []string{"a=1;"}, false},
		{"§4.2.3.2 parameter in upper case", []string{"a=1;B"}, false},
		{"§4.2.3.2 parameter without a value", []string{"a=1;b="}, false},
		{"§4.2.3.2 list in a parameter", []string{"a=1;b=(1)"}, false},
		{"§4.2.4 integers", []string{"a=-1, b=007, c=999999999999999"}, true},
		{"§4.2.4 sixteen digits", []string{"a=1234567890123456"}, false},
		{"§4.2.4 a sign alone", []string{"a=-"}, false},
		{"§4.2.4 plus", []string{"a=+1"}, false},
		{"§4.2.4 letters after", []string{"a=1x"}, false},
		{"§4.2.4 decimals", []string{"a=1.5, b=-123456789012.123"}, true},
		{"§4.2.4 thirteen digits and a point", []string{"a=1234567890123.1"}, false},
		{"§4.2.4 four decimals", []string{"a=1.1234"}, false},
		{"§4.2.4 a point at the end", []string{"a=1."}, false},
		{"§4.2.4 two points", []string{"a=1.1.1"}, false},
		{"§4.2.7 bytes", []string{"a=:aGVsbG8=:, b=:aGVsbG8:, c=::"}, true},
		{"§4.2.7 padding at the start", []string{"a=:=aGVsbG8=:"}, false},
		{"§4.2.7 padding within", []string{"a=:a=GVsbG8=:"}, false},
		{"§4.2.7 a line's end", []string{"a=:aGVs\nbG8=:"}, false},
		{"§4.2.10 display string", []string{`a=%"f%c3%bc%c3%bc"`}, true},
		{"§4.2.10 half a character", []string{`a=%"%c3"`}, false},
		{"§4.2.10 not UTF-8", []string{`a=%"%c3%28"`}, false},
		{"§4.2.5 strings", []string{`a="", b="x, y;z\"\\"`}, true},
		{"§4.2.5 not closed", []string{`a="x`}, false},
		{"§4.2.5 other escape", []string{`a="\x"`}, false},
		{"§4.2.5 escape at the end", []string{`a="\`}, false},
		{"§4.2.5 not ASCII", []string{`a="é"`}, false},
		{"§4.2.5 tab", []string{"a=\"\t\""}, false},
		{"§4.2.5 letters after", []string{`a="b"c`}, false},
		{"§4.2.5 single quotes", []string{`a='b'`}, false},
		{"§4.2.6 tokens", []string{"a=x:y/z!#$%&'*+-.^_`|~9, b=*"}, true},
		{"§4.2.7 bytes", []string{"a=:aGk=:, b=::"}, true},
		{"§4.2.7 bytes not closed", []string{"a=:aGk="}, false},
		{"§4.2.7 not base64", []string{"a=:a_b:"}, false},
		{"§4.2.8 booleans", []string{"a=?0, b=?1"}, true},
		{"§4.2.8 another", []string{"a=?2"}, false},
		{"§4.2.8 none", []string{"a=?"}, false},
		{"§4.2.8 two", []string{"a=?10"}, false},
		{"§4.2.9 date", []string{"a=@1659578233"}, true},
		{"§4.2.9 decimal date", []string{"a=@1.5"}, false},
		{"§4.2.9 no date", []string{"a=@"}, false},
		{"§4.2.10 display string", []string{`a=%"f%c3%bc"`}, true},
		{"§4.2.10 upper case", []string{`a=%"%C3%BC"`}, false},
		{"§4.2.10 cut", []string{`a=%"%c"`, `b=%"%`}, false},
		{"§4.2.10 not closed", []string{`a=%"x`}, false},
		{"§4.2.10 no quote", []string{"a=%x"}, false},
		{"§4.2.1.2 inner lists", []string{`a=(), b=( 1  "x";y );z`}, true},
		{"§4.2.1.2 not closed", []string{"a=(1"}, false},
		{"§4.2.1.2 no space between", []string{`a=(1"x")`}, false},
		{"§4.2.1.2 comma between", []string{"a=(1,2)"}, false},
		{"§4.2.1.2 in another", []string{"a=((1))"}, false},
	} {
		t.Run(tc.section, func(t *testing.T) {
			if _, targeted := rfc9111.Control(map[string][]string{"Cdn-Cache-Control": tc.lines}, rfc9111.Shared); targeted != tc.valid {
				t.Errorf("%q: %v, want %v", tc.lines, targeted, tc.valid)
			}
		})
	}
}

func FuzzDictionary(f *testing.F) {
	for _, s := range []string{"max-age=60", "max-age=60;x, no-store=?0", `private="a, b"`, "a=(1 2);b, c=:aGk=:", `x=%"%c3"`, "max-age=-1.5", "a,", "no-store"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		fallback := []string{"no-store"}
		control := func(lines ...string) (rfc9111.CacheControl, bool) {
			return rfc9111.Control(map[string][]string{"Cdn-Cache-Control": lines, "Cache-Control": fallback}, rfc9111.Shared)
		}
		one, oneValid := control(first)
		if !oneValid && !one.Has("no-store") {
			t.Errorf("%q is ignored, and Cache-Control with it", first)
		}
		for _, d := range one {
			if s, _ := one.Seconds(d.Name); s < 0 {
				t.Errorf("%+v is %v", d, s)
			}
		}
		// Two valid fields are a valid one, and the later member of a name counts.
		_, twoValid := control(second)
		if !oneValid || !twoValid {
			return
		}
		if both, valid := control(first, second+", max-age=7"); !valid {
			t.Errorf("%q and %q aren't valid together", first, second)
		} else if value, _ := both.Get("max-age"); value != "7" {
			t.Errorf("%q, %q: max-age is %q, want 7", first, second, value)
		}
		if _, valid := control(first + ","); valid && strings.TrimRight(first, " \t") != "" {
			t.Errorf("%q and a comma is valid", first)
		}
	})
}
