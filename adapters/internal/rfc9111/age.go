package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// InitialAge returns how old a response was when its header fields arrived (RFC 9111 §4.2.3, corrected_initial_age).
// requested is when the request was sent, received when the fields arrived.
//
// A response with neither Age nor Date wasn't received from another server: it was made by the handler behind the cache. Its age
// begins at 0, and doesn't include the time that the handler took.
func InitialAge(response http.Header, requested, received time.Time) time.Duration {
	age, hasAge := AgeOf(response)
	date, hasDate := dateOf(response)
	if !hasAge && !hasDate {
		return 0
	}
	corrected := Older(age, received.Sub(requested))
	if !hasDate {
		return corrected
	}
	return max(corrected, Older(0, received.Sub(date)))
}

// Older returns an age after some more time has passed. It stops at the longest that a cache has to represent (RFC 9111 §1.2.2),
// so that a very old Date makes a response old and not, by an overflow, fresh.
func Older(age, by time.Duration) time.Duration {
	const most = maxSeconds * time.Second
	age, by = min(age, most), min(by, most)
	return min(age+max(0, by), most)
}

// AgeOf returns the value of the Age field, and whether there is a valid one. Of several values the first counts; an
// invalid field is ignored (RFC 9111 §5.1). The field has no parameters; if there are some, only they are ignored, not the number before
// them.
func AgeOf(response http.Header) (d time.Duration, ok bool) {
	lines := response["Age"]
	if len(lines) == 0 {
		return 0, false
	}
	first, _, _ := strings.Cut(lines[0], ",")
	first, _, _ = strings.Cut(first, ";")
	return parseSeconds(trimOWS(first))
}
