package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9110 §5.6.7: what is a date, as it shows in Expires.
func TestDate(t *testing.T) {
	for value, want := range map[string]bool{
		"Sun, 01 Mar 2026 13:00:00 GMT":   true,
		" Sun, 01 Mar 2026 13:00:00 GMT ": true,
		"Sunday, 01-Mar-26 13:00:00 GMT":  true,
		"Sun Mar  1 13:00:00 2026":        true,

		"Sun, 01 Mar 2026 13:00:00 UTC":   false,
		"Sun, 01 Mar 2026 13:00:00 +0000": false,
		"Sun, 01 Mar 2026 13:00:00 gMT":   false,
		"Sunday, 01-Mar-26 13:00:00 UTC":  false,
		"Sunday, 01-Mar-26 13:00:00 EST":  false,
		"Sunday, 01-Mar-26 13:00:00 GMT1": false,
		"Sun 01 Mar 2026 13:00:00 GMT":    false,
		"Sun, 01 Mar 26 13:00:00 GMT":     false,
		"Sun, 01-Mar-2026 13:00:00 GMT":   false,
		"Sun, 01 Mar 2026 13.00.00 GMT":   false,
		"Sun, 32 Mar 2026 13:00:00 GMT":   false,
		"2026-03-01T13:00:00Z":            false,
		"1772370000":                      false,
		"2026":                            false,
		"GMT":                             false,
		"0":                               false,
		"-1":                              false,
		"":                                false,
	} {
		terms := rfc9111.TermsOf(200, fields("Expires", value), noon, rfc9111.Defaults{})
		if got := terms.Lifetime == time.Hour; got != want || !terms.Explicit {
			t.Errorf("%q: fresh for %v, %v, want %v", value, terms.Lifetime, terms.Explicit, want)
		}
	}
}

func FuzzExpires(f *testing.F) {
	for _, layout := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC, time.RFC850, time.RFC1123Z} {
		f.Add(noon.Add(time.Hour).Format(layout), httpDate(noon), int64(1e9))
	}
	f.Add("0", "x", int64(-1))
	f.Fuzz(func(t *testing.T, expires, date string, seconds int64) {
		terms := rfc9111.TermsOf(200, fields("Expires", expires, "Date", date), noon, rfc9111.Defaults{Heuristic: true})
		if terms.Lifetime < 0 || !terms.Explicit {
			t.Errorf("%q - %q is %v, %v", expires, date, terms.Lifetime, terms.Explicit)
		}
		// Each time from 1970 to 6325 is read as it was written, in all forms that have its year.
		at := time.Unix(seconds&(1<<37-1), 0).UTC()
		for _, layout := range []string{http.TimeFormat, time.ANSIC} {
			terms := rfc9111.TermsOf(200, fields("Expires", at.Format(layout)), noon, rfc9111.Defaults{})
			if want := max(0, at.Sub(noon)); terms.Lifetime != want {
				t.Errorf("%q is %v, want %v", at.Format(layout), terms.Lifetime, want)
			}
		}
	})
}
