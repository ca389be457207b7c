package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

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
