package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §4.2.1.
func TestLifetime(t *testing.T) {
	at := func(d time.Duration) string { return httpDate(noon.Add(d)) }
	for _, tc := range []struct {
		name     string
		response http.Header
		want     time.Duration
		explicit bool
	}{
		{"silent", fields("Cache-Control", "public", "Last-Modified", at(-time.Hour)), 0, false},
		{"max-age", fields("Cache-Control", "max-age=5"), 5 * time.Second, true},
		{"s-maxage over max-age", fields("Cache-Control", "max-age=5, s-maxage=9"), 9 * time.Second, true},
		{"s-maxage=0 over max-age", fields("Cache-Control", "max-age=5, s-maxage=0"), 0, true},
		{"invalid s-maxage is stale", fields("Cache-Control", "max-age=5, s-maxage=x"), 0, true},
		{"max-age over Expires", fields("Cache-Control", "max-age=5", "Expires", at(time.Hour)), 5 * time.Second, true},
		{"max-age=0 over Expires", fields("Cache-Control", "max-age=0", "Expires", at(time.Hour)), 0, true},
		{"Expires minus Date", fields("Expires", at(time.Hour), "Date", at(time.Minute)), 59 * time.Minute, true},
		{"Expires without Date", fields("Expires", at(time.Hour)), time.Hour, true},
		{"Expires with an invalid Date", fields("Expires", at(time.Hour), "Date", "today"), time.Hour, true},
		{"Expires in the past", fields("Expires", at(-time.Hour)), 0, true},
		{"Expires is Date", fields("Expires", at(0), "Date", at(0)), 0, true},
		{"§5.3 Expires: 0", fields("Expires", "0"), 0, true},
		{"§5.3 Expires: empty", fields("Expires", ""), 0, true},
		{"§4.2.1 two Expires", fields("Expires", at(time.Hour), "Expires", at(2*time.Hour)), 0, true},
		{"RFC 9213 §2.2 CDN-Cache-Control without freshness: no Expires", fields("Cdn-Cache-Control", "none", "Expires", at(time.Hour)), 0, false},
		{"RFC 9213 §2.2 CDN-Cache-Control over all", fields("Cdn-Cache-Control", "max-age=7", "Cache-Control", "s-maxage=5",
			"Expires", at(time.Hour)), 7 * time.Second, true},
		{"RFC 850 date", fields("Expires", noon.Add(time.Hour).Format("Monday, 02-Jan-06 15:04:05 GMT")), time.Hour, true},
		{"asctime date", fields("Expires", noon.Add(time.Hour).Format(time.ANSIC)), time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			terms := rfc9111.TermsOf(200, tc.response, noon, rfc9111.Defaults{})
			if terms.Lifetime != tc.want || terms.Explicit != tc.explicit {
				t.Errorf("%v, %v, want %v, %v", terms.Lifetime, terms.Explicit, tc.want, tc.explicit)
			}
		})
	}
}

// RFC 9111 §4.2.2.
func TestHeuristicLifetime(t *testing.T) {
	at := func(d time.Duration) string { return httpDate(noon.Add(d)) }
	for _, tc := range []struct {
		name     string
		response http.Header
		want     time.Duration
	}{
		{"a tenth", fields("Last-Modified", at(-10*time.Hour), "Date", at(0)), time.Hour},
		{"without Date", fields("Last-Modified", at(-10*time.Hour)), time.Hour},
		{"with an invalid Date", fields("Last-Modified", at(-10*time.Hour), "Date", "x"), time.Hour},
		{"when it was sent", fields("Last-Modified", at(-10*time.Hour), "Date", at(-5*time.Hour)), time.Hour / 2},
		{"a day at most", fields("Last-Modified", at(-365*24*time.Hour), "Date", at(0)), 24 * time.Hour},
		{"in the future", fields("Last-Modified", at(time.Hour), "Date", at(0)), 0},
		{"invalid", fields("Last-Modified", "x"), 0},
		{"without", fields("Etag", `"a"`), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			terms := rfc9111.TermsOf(200, tc.response, noon, rfc9111.Defaults{Heuristic: true})
			if terms.Lifetime != tc.want || terms.Explicit {
				t.Errorf("%v, %v, want %v, false", terms.Lifetime, terms.Explicit, tc.want)
			}
		})
	}
}
