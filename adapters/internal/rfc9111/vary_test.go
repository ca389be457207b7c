package rfc9111_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §4.1, RFC 9110 §12.5.5.
func TestVary(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		names []string
		any   bool
	}{
		{nil, nil, false},
		{[]string{"", " ,, "}, nil, false},
		{[]string{"foo"}, []string{"Foo"}, false},
		{[]string{"foo, BAR ,Foo", "baz"}, []string{"Bar", "Baz", "Foo"}, false},
		{[]string{"*"}, nil, true},
		{[]string{"*, *"}, nil, true},
		{[]string{", *"}, nil, true},
		{[]string{"", "*"}, nil, true},
		{[]string{"foo, *"}, []string{"Foo"}, true},
		{[]string{"*", "foo"}, []string{"Foo"}, true},
		{[]string{"foo bar"}, nil, true},
		{[]string{`"foo"`}, nil, true},
		{[]string{"fo\u00f6"}, nil, true},
	} {
		if names, any := rfc9111.Vary(http.Header{"Vary": tc.lines}); !slices.Equal(names, tc.names) || any != tc.any {
			t.Errorf("%q: %q, %v, want %q, %v", tc.lines, names, any, tc.names, tc.any)
		}
	}
}

// RFC 9111 §4.1: what selects the same response, and what another.
func TestSelecting(t *testing.T) {
	for _, tc := range []struct {
		name string
		a, b http.Header
		same bool
	}{
		{"both absent", nil, fields("Other", "1"), true},
		{"§4.1 absent and empty", nil, fields("Foo", ""), false},
		{"equal", fields("Foo", "1", "Other", "2"), fields("Foo", "1", "Other", "3"), true},
		{"different", fields("Foo", "1"), fields("Foo", "2"), false},
		{"case of an unknown field", fields("Foo", "a"), fields("Foo", "A"), false},
		{"order in an unknown field", fields("Foo", "a, b"), fields("Foo", "b, a"), false},
		{"§4.1 lines", fields("Foo", "1, 2"), fields("Foo", "1", "Foo", "2"), true},
		{"§4.1 whitespace", fields("Foo", "1,2"), fields("Foo", " 1 ,\t2 "), true},
		{"whitespace elsewhere", fields("Foo", "1 2"), fields("Foo", "1  2"), false},
		{"empty members", fields("Foo", "1,,2"), fields("Foo", "1,2"), false},
		{"comma at the end", fields("Foo", "1,"), fields("Foo", "1"), false},
		{"quoted comma", fields("Foo", `"1, 2"`), fields("Foo", `"1,2"`), false},
		{"quote that isn't closed", fields("Foo", `"1, 2`), fields("Foo", `"1,2`), true},
		{"another field", fields("Foo", "1"), fields("Bar", "1"), false},
		{"split between fields", fields("Bar", "1", "Foo", "2"), fields("Bar", "1, 2"), false},
		{"what looks like a field", fields("Bar", "1\nFoo:2"), fields("Bar", "1", "Foo", "2"), false},
		{"what looks escaped", fields("Bar", `1\n`), fields("Bar", "1\n"), false},

		{"RFC 9110 §12.5.4 order", fields("Accept-Language", "en, de"), fields("Accept-Language", "de, en"), true},
		{"RFC 9110 §12.5.4 case", fields("Accept-Language", "en, de"), fields("Accept-Language", "eN, De"), true},
		{"RFC 9110 §12.5.4 whitespace", fields("Accept-Language", "en, de"), fields("Accept-Language", " en ,   de"), true},
		{"RFC 9110 §12.5.4 languages", fields("Accept-Language", "en"), fields("Accept-Language", "de"), false},
		{"RFC 9110 §12.5.4 empty members and twice the same", fields("Accept-Language", "en,,en"), fields("Accept-Language", "en"), true},
		{"absent and empty Accept", fields("Accept", ""), nil, false},
		{"RFC 9110 §12.4.2 full weight", fields("Accept-Encoding", "gzip;q=1.000"), fields("Accept-Encoding", "gzip"), true},
		{"RFC 9110 §12.4.2 weight", fields("Accept-Encoding", "gzip ; q=0.5"), fields("Accept-Encoding", "GZIP;Q=0.500"), true},
		{"RFC 9110 §12.4.2 weights", fields("Accept-Encoding", "gzip;q=0.5"), fields("Accept-Encoding", "gzip;q=0.501"), false},
		{"RFC 9110 §12.4.2 no weight", fields("Accept-Encoding", "gzip;q=0.5"), fields("Accept-Encoding", "gzip;q=500"), false},
		{"RFC 9110 §12.4.2 zero", fields("Accept-Encoding", "gzip;q=0"), fields("Accept-Encoding", "gzip;q=0.0"), true},
		{"RFC 9110 §12.4.2 zero is another", fields("Accept-Encoding", "gzip;q=0"), fields("Accept-Encoding", "gzip"), false},
		{"RFC 9110 §12.5.1 media ranges", fields("Accept", "Text/HTML;level=1;q=0.4, */*"), fields("Accept", "*/*, text/html;level=1;q=0.40"), true},
		{"RFC 9110 §8.3.1 the case of parameters", fields("Accept", "a/b;profile=X"), fields("Accept", "a/b;profile=x"), false},
		{"RFC 9110 §12.5.1 quoted parameters", fields("Accept", `a/b;p="x, y"`), fields("Accept", `a/b;p="x,y"`), false},
		{"RFC 9110 §12.5.2 charsets", fields("Accept-Charset", "utf-8, latin1"), fields("Accept-Charset", "Latin1,UTF-8"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			names := []string{"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Bar", "Foo"}
			a, b := rfc9111.Selecting(names, tc.a), rfc9111.Selecting(names, tc.b)
			if (a == b) != tc.same {
				t.Errorf("%q and %q, want %v", a, b, tc.same)
			}
		})
	}
	if got := rfc9111.Selecting(nil, fields("Foo", "1")); got != "" {
		t.Errorf("without names: %q", got)
	}
	request := fields("Foo", "1", "Bar", "1")
	if rfc9111.Selecting([]string{"Foo"}, request) == rfc9111.Selecting([]string{"Bar"}, request) {
		t.Error("the names don't count")
	}
}

func FuzzSelecting(f *testing.F) {
	f.Add("1, 2", "1", "2", "1,2")
	f.Add(`"a, b"`, "\n", "a\\", ",")
	f.Add("en;q=0.5, de", "de", "en;q=0.50", " EN , de")
	// None of the whitespace around commas, and any number of lines, is all that may be lost of an unknown field.
	bare := func(lines []string) string {
		var list []string
		for member := range strings.SplitSeq(strings.Join(lines, ","), ",") {
			list = append(list, strings.Trim(member, " \t"))
		}
		return strings.Join(list, ",")
	}
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		names := []string{"Bar", "Foo"}
		one := http.Header{"Bar": {a}, "Foo": {b}}
		two := http.Header{"Bar": {c}, "Foo": {d}}
		equal := bare(one["Bar"]) == bare(two["Bar"]) && bare(one["Foo"]) == bare(two["Foo"])
		if same := rfc9111.Selecting(names, one) == rfc9111.Selecting(names, two); same && !equal {
			t.Errorf("%q and %q share a key", one, two)
		} else if equal && !same && !strings.Contains(a+b+c+d, `"`) {
			t.Errorf("%q and %q don't share a key", one, two)
		}
		lines := http.Header{"Foo": {a, b}}
		if key := rfc9111.Selecting(names, lines); key == rfc9111.Selecting(names, http.Header{"Foo": {c}}) && bare(lines["Foo"]) != bare([]string{c}) {
			t.Errorf("%q and %q share a key", lines, c)
		}
		if key := rfc9111.Selecting(names, one); key == rfc9111.Selecting(names, http.Header{"Bar": {a}}) {
			t.Errorf("%q may be left out", b)
		}
		for _, name := range []string{"Accept", "Accept-Language"} {
			key := rfc9111.Selecting([]string{name}, http.Header{name: {a, b}})
			if swapped := rfc9111.Selecting([]string{name}, http.Header{name: {b, a}}); key != swapped {
				t.Errorf("the order of %q and %q counts: %q, %q", a, b, key, swapped)
			}
		}
		list, any := rfc9111.Vary(http.Header{"Vary": {a, b}})
		if !slices.IsSorted(list) || slices.Contains(list, "") || slices.Contains(list, "*") || strings.Trim(a, " \t,") == "*" && !any {
			t.Errorf("Vary %q, %q: %q, %v", a, b, list, any)
		}
	})
}
