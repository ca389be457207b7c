package rfc9111

import (
	"net/http"
	"time"
)

// Lifetime returns how long a response is fresh in a shared cache, counted from age 0, and whether the response says
// so itself (RFC 9111 §4.2.1): s-maxage, else max-age, else Expires minus Date. received stands for a Date that is
// absent or invalid. A lifetime of 0 means that the response is stale from the start; invalid information counts as
// that (§4.2.1, §5.3).
func Lifetime(response http.Header, received time.Time) (d time.Duration, explicit bool) {
	cc := ParseCacheControl(response["Cache-Control"])
	if d, ok := cc.Seconds("s-maxage"); ok { // §5.2.2.10
		return d, true
	}
	if d, ok := cc.Seconds("max-age"); ok { // §5.2.2.1
		return d, true
	}
	expires := response["Expires"]
	if len(expires) == 0 {
		return 0, false
	}
	at, err := http.ParseTime(expires[0])
	if err != nil { // §5.3: "0" and the like are in the past
		return 0, true
	}
	date, ok := dateOf(response)
	if !ok {
		date = received
	}
	return max(0, at.Sub(date)), true
}

// dateOf returns the time in the Date field, and whether there is a valid one.
func dateOf(response http.Header) (time.Time, bool) {
	lines := response["Date"]
	if len(lines) == 0 {
		return time.Time{}, false
	}
	t, err := http.ParseTime(lines[0])
	return t, err == nil
}
