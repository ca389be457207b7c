package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

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
		{"two Expires: the first", fields("Expires", at(time.Hour), "Expires", at(2*time.Hour)), time.Hour, true},
		{"RFC 850 date", fields("Expires", noon.Add(time.Hour).Format("Monday, 02-Jan-06 15:04:05 GMT")), time.Hour, true},
		{"asctime date", fields("Expires", noon.Add(time.Hour).Format(time.ANSIC)), time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d, explicit := rfc9111.Lifetime(tc.response, noon); d != tc.want || explicit != tc.explicit {
				t.Errorf("%v, %v, want %v, %v", d, explicit, tc.want, tc.explicit)
			}
		})
	}
}

// RFC 9111 §5.1.
func TestAgeOf(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  time.Duration
		ok    bool
	}{
		{nil, 0, false},
		{[]string{"0"}, 0, true},
		{[]string{" 30 "}, 30 * time.Second, true},
		{[]string{"30, 60"}, 30 * time.Second, true},
		{[]string{"30", "60"}, 30 * time.Second, true},
		{[]string{"99999999999999"}, 1 << 31 * time.Second, true},
		{[]string{""}, 0, false},
		{[]string{"abc"}, 0, false},
		{[]string{"-5"}, 0, false},
		{[]string{"1.5"}, 0, false},
		{[]string{"x", "60"}, 0, false},
		{[]string{"30;x"}, 0, false},
	} {
		if d, ok := rfc9111.AgeOf(http.Header{"Age": tc.lines}); d != tc.want || ok != tc.ok {
			t.Errorf("Age %q: %v, %v, want %v, %v", tc.lines, d, ok, tc.want, tc.ok)
		}
	}
}

// RFC 9111 §4.2.3.
func TestInitialAge(t *testing.T) {
	requested, received := noon, noon.Add(2*time.Second)
	at := func(d time.Duration) string { return httpDate(received.Add(d)) }
	for _, tc := range []struct {
		name     string
		response http.Header
		want     time.Duration
	}{
		{"made here", nil, 0},
		{"Date now", fields("Date", at(0)), 2 * time.Second},
		{"apparent age", fields("Date", at(-time.Minute)), time.Minute},
		{"a Date in the future", fields("Date", at(time.Hour)), 2 * time.Second},
		{"Age and the delay", fields("Age", "10"), 12 * time.Second},
		{"Age over Date", fields("Age", "100", "Date", at(-time.Minute)), 102 * time.Second},
		{"Date over Age", fields("Age", "10", "Date", at(-time.Minute)), time.Minute},
		{"invalid Age", fields("Age", "x", "Date", at(-time.Minute)), time.Minute},
		{"invalid Age alone", fields("Age", "-1"), 0},
		{"invalid Date", fields("Date", "x", "Age", "10"), 12 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.InitialAge(tc.response, requested, received); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
	if got := rfc9111.InitialAge(fields("Age", "10"), received, requested); got != 10*time.Second {
		t.Errorf("a clock that went back: %v, want 10s", got)
	}
}
