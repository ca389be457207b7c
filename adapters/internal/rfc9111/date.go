package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// parseDate reads an HTTP-date in one of its three forms (RFC 9110 §5.6.7), and in no other: [http.ParseTime] alone also takes
// a second space, an hour of one digit and fractions of seconds. Case doesn't count (RFC 9111 §4.2), but no zone other
// than GMT does.
func parseDate(s string) (t time.Time, ok bool) {
	s = trimOWS(s)
	if before, ok := cutSuffixFold(s, "GMT"); ok {
		s = before + "GMT"
	}
	for _, layout := range [...]string{http.TimeFormat, rfc850, time.ANSIC} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, sameDate(s, t.Format(layout))
		}
	}
	return time.Time{}, false
}

func cutSuffixFold(s, suffix string) (before string, ok bool) {
	n := len(s) - len(suffix)
	if n < 0 || !strings.EqualFold(s[n:], suffix) {
		return s, false
	}
	return s[:n], true
}

// rfc850 is the second form, of which the zone is a part.
const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"

// sameDate compares a date with how it should be written. A day of the week that isn't that day's harms nobody.
func sameDate(s, want string) bool {
	i, j := strings.IndexAny(s, ", "), strings.IndexAny(want, ", ")
	return i >= 0 && j >= 0 && strings.EqualFold(s[i:], want[j:])
}

// dateOf returns the time in the Date field, and whether there is a valid one.
func dateOf(response http.Header) (t time.Time, ok bool) {
	lines := response["Date"]
	if len(lines) == 0 {
		return time.Time{}, false
	}
	return parseDate(lines[0])
}
