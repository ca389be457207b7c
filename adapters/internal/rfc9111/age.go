package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// InitialAge returns how old a response was when its header fields arrived (RFC 9111 §4.2.3, corrected_initial_age).
// requested is when it was asked for, received when its fields were there.
//
// A response with neither Age nor Date wasn't sent to us: it was made here, by the handler behind the cache. Its age
// begins at 0, and the time that the handler took is not counted.
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

// Older returns an age when some more time has passed. It stops at the longest that a cache need tell apart (RFC 9111 §1.2.2),
// so that a Date at the beginning of time makes a response old and not, by an overflow, fresh.
func Older(age, by time.Duration) time.Duration {
	const most = maxSeconds * time.Second
	age, by = min(age, most), min(by, most)
	return min(age+max(0, by), most)
}

// AgeOf returns the value of the Age field, and whether there is a valid one. Of several values the first counts; an
// invalid field is ignored (RFC 9111 §5.1). Parameters, which the field doesn't have, are ignored alone: who sends some
// means the number before them.
func AgeOf(response http.Header) (d time.Duration, ok bool) {
	lines := response["Age"]
	if len(lines) == 0 {
		return 0, false
	}
	first, _, _ := strings.Cut(lines[0], ",")
	first, _, _ = strings.Cut(first, ";")
	return parseSeconds(trimOWS(first))
}
