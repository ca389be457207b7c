package rfc9111

import (
	"net/http"
	"net/url"
	"strings"
)

// Represents reports whether a successful response to a POST is also the response to a GET of the target: its
// Content-Location is the target's own URL (RFC 9110 §9.3.3, §8.7). host is the request's Host.
func Represents(target *url.URL, host string, response http.Header) bool {
	lines := response["Content-Location"]
	if len(lines) != 1 {
		return false
	}
	base := *target
	base.Host = host
	u, err := base.Parse(trimOWS(lines[0]))
	return err == nil && sameOrigin(&base, u) && u.EscapedPath() == target.EscapedPath() && u.RawQuery == target.RawQuery
}

// ContentLanguage returns the language of a response, in lower case (RFC 9110 §8.5); "" if it is in none, or in several.
func ContentLanguage(response http.Header) string {
	lines := response["Content-Language"]
	if len(lines) != 1 || strings.Contains(lines[0], ",") {
		return ""
	}
	return strings.ToLower(trimOWS(lines[0]))
}
