package rfc9111

import "net/http"

// Validators has the fields of a stored response for conditional requests. An empty value stands for a missing field.
type Validators struct {
	ETag         string
	LastModified string
	Date         string // replaces a missing Last-Modified (RFC 9111 §4.3.2)
}

// NotModified reports whether a conditional request (RFC 9110 §13) is answered with 304 from a stored, fresh
// response, because the client has a current copy. A request without conditions never is. Conditions that only an
// origin can evaluate are ignored: see [RelevantOrigin].
func NotModified(request http.Header, stored Validators) bool {
	if lines := request["If-None-Match"]; len(lines) > 0 { // §13.1.2
		if len(lines) == 1 && trimOWS(lines[0]) == "*" {
			return true
		}
		tag, ok := ParseETag(stored.ETag)
		return ok && matchList(lines, tag)
	}
	lines := request["If-Modified-Since"] // §13.1.3
	if len(lines) != 1 {
		return false
	}
	since, ok := parseDate(lines[0])
	if !ok {
		return false
	}
	value := stored.LastModified
	if value == "" {
		value = stored.Date
	}
	modified, ok := parseDate(value)
	return ok && !modified.After(since)
}
