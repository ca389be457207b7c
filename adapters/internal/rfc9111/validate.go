package rfc9111

import "net/http"

// Conditions returns the values of If-None-Match and If-Modified-Since that ask an origin whether the stored response
// is still current (RFC 9111 §4.3.1); "" where there is none. They are the origin's own values, as it wrote them.
func Conditions(stored Validators) (ifNoneMatch, ifModifiedSince string) {
	if _, ok := parseDate(stored.LastModified); ok {
		ifModifiedSince = stored.LastModified
	}
	return stored.ETag, ifModifiedSince
}

// Validates reports whether a 304 refers to the stored response whose validators were sent (RFC 9111 §4.3.4). The
// first of these that the 304 has decides: a strong ETag, which must be the same; a weak one; Last-Modified. A 304 without any
// refers to that response.
func Validates(stored Validators, notModified http.Header) bool {
	if value := first(notModified["Etag"]); value != "" {
		if value == trimOWS(stored.ETag) { // even one that isn't valid
			return true
		}
		tag, _ := ParseETag(value)
		own, _ := ParseETag(stored.ETag)
		return tag.Weak && tag.WeakMatch(own)
	}
	if value := first(notModified["Last-Modified"]); value != "" {
		if value == trimOWS(stored.LastModified) {
			return true
		}
		modified, ok := parseDate(value)
		own, okOwn := parseDate(stored.LastModified)
		return ok && okOwn && modified.Equal(own)
	}
	return true
}

// first returns the value of a field that has only one.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return trimOWS(lines[0])
}
