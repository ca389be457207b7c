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
		"Sun, 01 Mar 2026 13:00:00 gmt":   true, // RFC 9111 §4.2
		"sun, 01 MAR 2026 13:00:00 gMT":   true,
		"Mon, 01 Mar 2026 13:00:00 GMT":   true, // it was another day

		"Sun,  01 Mar 2026 13:00:00 GMT":                               false,
		"Sun, 01  Mar 2026 13:00:00 GMT":                               false,
		"Sun, 1 Mar 2026 13:00:00 GMT":                                 false,
		"Sun, 01 Mar 2026 1:00:00 GMT":                                 false,
		"Sun, 01 Mar 2026 13:00:00  GMT":                               false,
		"Sun, 01 Mar 2026 13:00:00.000 GMT":                            false,
		"Sun,01 Mar 2026 13:00:00 GMT":                                 false,
		"Sun, 01 March 2026 13:00:00 GMT":                              false,
		"Sun Mar 1 13:00:00 2026":                                      false,
		"Sun Mar  1 13:00:00 2026 GMT":                                 false,
		"Sunday, 1-Mar-26 13:00:00 GMT":                                false,
		"Sun, 01 Mar 2026 13:00:00 GMT, Sun, 01 Mar 2026 13:00:00 GMT": false,

		"Sun, 01 Mar 2026 13:00:00 UTC":   false,
		"Sun, 01 Mar 2026 13:00:00 +0000": false,
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

// RFC 9111 §5.3, §4.2.1: of several dates none is the right one.
func TestSeveralExpires(t *testing.T) {
	at := httpDate(noon.Add(time.Hour))
	terms := rfc9111.TermsOf(200, fields("Expires", at, "Expires", at), noon, rfc9111.Defaults{})
	if terms.Lifetime != 0 || !terms.Explicit {
		t.Errorf("fresh for %v, %v", terms.Lifetime, terms.Explicit)
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
