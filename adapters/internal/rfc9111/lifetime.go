package rfc9111

import (
	"net/http"
	"time"
)

// lifetime returns how long a response is fresh, counted from age 0, and whether the response says
// so itself (RFC 9111 §4.2.1): s-maxage, else max-age, else Expires minus Date. received stands for a Date that is
// absent or invalid. A lifetime of 0 means that the response is stale from the start; invalid information counts as
// that (§4.2.1, §5.3).
func lifetime(cc CacheControl, targeted bool, response http.Header, received time.Time) (d time.Duration, explicit bool) {
	if d, ok := cc.Seconds("s-maxage"); ok { // §5.2.2.10
		return d, true
	}
	if d, ok := cc.Seconds("max-age"); ok { // §5.2.2.1
		return d, true
	}
	expires := response["Expires"]
	if len(expires) == 0 || targeted { // RFC 9213 §2.2
		return 0, false
	}
	at, ok := parseDate(expires[0])
	if !ok || len(expires) > 1 { // §5.3: "0" and the like are in the past
		return 0, true
	}
	date, ok := dateOf(response)
	if !ok {
		date = received
	}
	return max(0, at.Sub(date)), true
}

const maxHeuristic = 24 * time.Hour

// heuristicLifetime guesses: a tenth of the time for which the content hadn't changed when it was sent (RFC 9111
// §4.2.2).
func heuristicLifetime(response http.Header, received time.Time) time.Duration {
	lines := response["Last-Modified"]
	if len(lines) == 0 {
		return 0
	}
	modified, ok := parseDate(lines[0])
	if !ok {
		return 0
	}
	date, ok := dateOf(response)
	if !ok {
		date = received
	}
	return min(max(0, date.Sub(modified)/10), maxHeuristic)
}
