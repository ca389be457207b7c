package rfc9111_test

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

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
		{[]string{"30;x"}, 30 * time.Second, true},
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

func FuzzAge(f *testing.F) {
	for _, s := range []string{"", "0", "30, 60", "-1", "2147483649", "99999999999999999999", "7200;a=1", "1.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		age, ok := rfc9111.AgeOf(http.Header{"Age": {value}})
		if age < 0 || age > 1<<31*time.Second || !ok && age != 0 || age%time.Second != 0 {
			t.Errorf("%q is %v, %v", value, age, ok)
		}
		first, _, _ := strings.Cut(value, ",")
		if seconds, err := strconv.ParseUint(strings.Trim(first, " \t"), 10, 31); err == nil && (!ok || age != time.Duration(seconds)*time.Second) {
			t.Errorf("%q is %v, %v", value, age, ok)
		}
	})
}

func TestOlder(t *testing.T) {
	const most = 1 << 31 * time.Second
	for _, tc := range []struct{ age, by, want time.Duration }{
		{0, 0, 0}, {time.Minute, time.Hour, 61 * time.Minute}, {time.Minute, -time.Hour, time.Minute}, {most, 1, most}, {most - 1, 1, most},
		{math.MaxInt64, math.MaxInt64, most}, {0, math.MaxInt64, most}, {math.MaxInt64, math.MinInt64, most},
	} {
		if got := rfc9111.Older(tc.age, tc.by); got != tc.want {
			t.Errorf("%v, older by %v: %v, want %v", tc.age, tc.by, got, tc.want)
		}
	}
	for _, date := range []string{"Mon, 01 Jan 0001 00:00:00 GMT", "Mon, 01 Jan 1800 00:00:00 GMT"} {
		if age := rfc9111.InitialAge(fields("Date", date, "Age", "99999999999"), noon, noon.Add(time.Hour)); age != most {
			t.Errorf("%s: %v", date, age)
		}
	}
}
