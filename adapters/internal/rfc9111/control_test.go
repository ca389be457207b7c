package rfc9111_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9213 §2.
func TestControl(t *testing.T) {
	own := rfc9111.CacheControl{{Name: "max-age", Value: "1"}, {Name: "public"}}
	seconds := func(s string) rfc9111.CacheControl { return rfc9111.CacheControl{{Name: "max-age", Value: s}} }
	for _, tc := range []struct {
		name     string
		targeted []string
		want     rfc9111.CacheControl
		is       bool
	}{
		{"§2.2 absent", nil, own, false},
		{"§2.1 empty", []string{""}, own, false},
		{"§2.1 invalid", []string{"max-age=10, &&"}, own, false},
		{"§2.1 directives in upper case aren't valid", []string{"Max-Age=10"}, own, false},
		{"§2.2 over Cache-Control", []string{"max-age=10"}, seconds("10"), true},
		{"§2.2 in lines", []string{"max-age=10", "no-store"}, rfc9111.CacheControl{{Name: "max-age", Value: "10"}, {Name: "no-store"}}, true},
		{"§2.2 all that are known", []string{"s-maxage=1, stale-while-revalidate=2, stale-if-error=3, no-cache, private, no-store, " +
			"must-revalidate, proxy-revalidate, must-understand, public"}, rfc9111.CacheControl{{Name: "s-maxage", Value: "1"},
			{Name: "stale-while-revalidate", Value: "2"}, {Name: "stale-if-error", Value: "3"}, {Name: "no-cache"}, {Name: "private"},
			{Name: "no-store"}, {Name: "must-revalidate"}, {Name: "proxy-revalidate"}, {Name: "must-understand"}, {Name: "public"}}, true},
		{"§3.1 unknown directives are valid", []string{"none"}, nil, true},
		{"§2.1 parameters are ignored", []string{"max-age=10;x=1"}, seconds("10"), true},
		{"§2.1 fields as a string", []string{`private="a, b"`}, rfc9111.CacheControl{{Name: "private", Value: "a, b", Quoted: true}}, true},
		{"§2.1 fields as a token", []string{"private=a"}, nil, true},
		{"§2.1 seconds as a string", []string{`max-age="10"`}, nil, true},
		{"§2.1 decimal seconds", []string{"max-age=10.5"}, nil, true},
		{"§2.1 seconds without a value", []string{"max-age"}, nil, true},
		{"§2.1 a list of seconds", []string{"max-age=(10)"}, nil, true},
		{"negative seconds are stale", []string{"max-age=-10"}, seconds("-10"), true},
		{"§2.1 false", []string{"no-store=?0, private=?0"}, nil, true},
		{"§2.1 true", []string{"no-store=?1"}, rfc9111.CacheControl{{Name: "no-store"}}, true},
		{"§2.1 a number for true", []string{"no-store=1"}, nil, true},
		{"RFC 9651 §4.2.2 the last counts", []string{"max-age=10, max-age=20"}, seconds("20"), true},
		{"RFC 9651 §4.2.2 even if it is none", []string{"max-age=10, no-store, max-age=x"}, rfc9111.CacheControl{{Name: "no-store"}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			response := http.Header{"Cache-Control": {"max-age=1, public"}}
			if tc.targeted != nil {
				response["Cdn-Cache-Control"] = tc.targeted
			}
			if cc, is := rfc9111.Control(response, rfc9111.Shared); !slices.Equal(cc, tc.want) || is != tc.is {
				t.Errorf("%+v, %v, want %+v, %v", cc, is, tc.want, tc.is)
			}
		})
	}
}
