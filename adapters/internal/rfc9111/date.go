package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// parseDate reads an HTTP-date in one of its three forms (RFC 9110 §5.6.7). [http.ParseTime] alone also takes zones
// other than GMT in the second form, and reads them by the zone of the machine.
func parseDate(s string) (t time.Time, ok bool) {
	s = trimOWS(s)
	last := s[strings.LastIndexByte(s, ' ')+1:]
	if last != "GMT" && !isYear(last) {
		return time.Time{}, false
	}
	t, err := http.ParseTime(s)
	return t, err == nil
}

func isYear(s string) bool {
	_, ok := parseDigits(s)
	return ok && len(s) == 4
}

// dateOf returns the time in the Date field, and whether there is a valid one.
func dateOf(response http.Header) (t time.Time, ok bool) {
	lines := response["Date"]
	if len(lines) == 0 {
		return time.Time{}, false
	}
	return parseDate(lines[0])
}
