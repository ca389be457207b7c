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
	corrected := age + max(0, received.Sub(requested))
	if !hasDate {
		return corrected
	}
	return max(corrected, received.Sub(date))
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
