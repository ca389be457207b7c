package rfc9111_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §5.2: directives are case-insensitive, with an optional argument as a token or as a quoted string.
func TestParseCacheControl(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  rfc9111.CacheControl
	}{
		{"none", nil, nil},
		{"empty", []string{"", " ", ",, ,"}, nil},
		{"one", []string{"no-store"}, rfc9111.CacheControl{{Name: "no-store"}}},
		{"case", []string{"No-STORE, Max-Age=5"}, rfc9111.CacheControl{{Name: "no-store"}, {Name: "max-age", Value: "5"}}},
		{"several lines", []string{"public", "max-age=5"}, rfc9111.CacheControl{{Name: "public"}, {Name: "max-age", Value: "5"}}},
		{"duplicates keep their order", []string{"max-age=1, max-age=2"},
			rfc9111.CacheControl{{Name: "max-age", Value: "1"}, {Name: "max-age", Value: "2"}}},
		{"quoted", []string{`max-age="5",private="set-cookie, x", public`},
			rfc9111.CacheControl{{Name: "max-age", Value: "5", Quoted: true}, {Name: "private", Value: "set-cookie, x", Quoted: true},
				{Name: "public"}}},
		{"escaped", []string{`x="a\"b,\\c", no-store`}, rfc9111.CacheControl{{Name: "x", Value: `a"b,\c`, Quoted: true}, {Name: "no-store"}}},
		{"unclosed quote hides nothing", []string{`x="a, no-store`}, rfc9111.CacheControl{{Name: "x", Value: `"a`}, {Name: "no-store"}}},
		{"quote in a name hides nothing", []string{`x"a, no-store, b"`},
			rfc9111.CacheControl{{Name: `x"a`}, {Name: "no-store"}, {Name: `b"`}}},
		{"after a quoted string", []string{`max-age="5"x, public`}, rfc9111.CacheControl{{Name: "max-age", Value: `"5"x`}, {Name: "public"}}},
		{"a lone backslash", []string{`x="a\`}, rfc9111.CacheControl{{Name: "x", Value: `"a\`}}},
		{"semicolon after a name", []string{"private; max-age=60, public;x, ;y"}, rfc9111.CacheControl{{Name: "private"}, {Name: "public"}}},
		{"semicolon in a value", []string{"max-age=5;x, y"}, rfc9111.CacheControl{{Name: "max-age", Value: "5;x"}, {Name: "y"}}},
		{"no name", []string{"=5, public"}, rfc9111.CacheControl{{Name: "public"}}},
		{"whitespace", []string{" \tmax-age = 5\t,public "}, rfc9111.CacheControl{{Name: "max-age", Value: "5"}, {Name: "public"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.ParseCacheControl(tc.lines); !slices.Equal(got, tc.want) {
				t.Errorf("ParseCacheControl(%q) = %+v, want %+v", tc.lines, got, tc.want)
			}
		})
	}
}

// RFC 9111 §1.2.2 and §4.2.1: a number that is too large is 2^31, an invalid one makes the response stale.
func TestSeconds(t *testing.T) {
	const most = 1 << 31 * time.Second
	for field, want := range map[string]time.Duration{
		"max-age=5":                         5 * time.Second,
		"max-age=0":                         0,
		"max-age=007":                       7 * time.Second,
		`max-age="5"`:                       5 * time.Second,
		"max-age=2147483648":                most,
		"max-age=2147483649":                most,
		"max-age=99999999999999999999999":   most,
		"max-age":                           0,
		"max-age=":                          0,
		"max-age=-5":                        0,
		"max-age=+5":                        0,
		"max-age=1.5":                       0,
		"max-age=5s":                        0,
		"max-age='5'":                       0,
		"max-age=٥":                         0,
		"max-age=3, max-age=5":              3 * time.Second,
		"max-age=x, max-age=5":              0,
		"s-maxage=9, max-age=4, s-maxage=1": 4 * time.Second,
	} {
		if got, ok := rfc9111.ParseCacheControl([]string{field}).Seconds("max-age"); got != want || !ok {
			t.Errorf("%s: %v, %v, want %v, true", field, got, ok, want)
		}
	}
	if got, ok := rfc9111.ParseCacheControl([]string{"public"}).Seconds("max-age"); got != 0 || ok {
		t.Errorf("absent: %v, %v, want 0, false", got, ok)
	}
}

func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{
		"no-store", "max-age=5, public", `private="a, b", x="\"`, `x="a, no-store`, "max-age=99999999999999999999", ",=,\"=\"",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		cc := rfc9111.ParseCacheControl([]string{first, second})
		for _, d := range cc {
			if d.Name == "" || d.Name != strings.ToLower(d.Name) || strings.ContainsAny(d.Name, ",=;") {
				t.Errorf("directive %+v", d)
			}
			if s, _ := cc.Seconds(d.Name); s < 0 || s > 1<<31*time.Second {
				t.Errorf("%+v is %v", d, s)
			}
		}
		// Lines and members are the same list (RFC 9110 §5.3), and no directive hides another line's.
		if joined := rfc9111.ParseCacheControl([]string{first, "no-store", second}); !joined.Has("no-store") {
			t.Errorf("%q, %q hide no-store", first, second)
		}
		if !strings.Contains(first+second, `"`) {
			if joined := rfc9111.ParseCacheControl([]string{first + "," + second}); !slices.Equal(joined, cc) {
				t.Errorf("joined %+v, in lines %+v", joined, cc)
			}
		}
	})
}
