package rfc9111

import (
	"net/http"
	"strings"
)

// Heeded answers whether a field of a GET or HEAD says something to the rules, whatever is stored: no function here reads
// another field of a request, but for those that a response's Vary names, and Accept-Language. The name may be in any case;
// the canonical one is returned, or "".
func Heeded(name string) (canonical string) {
	switch len(name) { // nearly all are ruled out by that
	case len("Range"):
		canonical = "Range"
	case len("Pragma"):
		canonical = "Pragma"
	case len("Upgrade"):
		canonical = "Upgrade"
	case len("If-Match"):
		if canonical = "If-Match"; len(name) > 3 && name[3]|0x20 == 'r' {
			canonical = "If-Range"
		}
	case len("Cache-Control"):
		switch name[0] | 0x20 {
		case 'c':
			canonical = "Cache-Control"
		case 'i':
			canonical = "If-None-Match"
		default:
			canonical = "Authorization"
		}
	case len("If-Modified-Since"):
		canonical = "If-Modified-Since"
	case len("If-Unmodified-Since"):
		canonical = "If-Unmodified-Since"
	}
	if name == canonical || strings.EqualFold(name, canonical) {
		return canonical
	}
	return ""
}

// Plain answers whether no field of a request is Heeded.
func Plain(request http.Header) bool {
	for name := range request {
		if Heeded(name) != "" {
			return false
		}
	}
	return true
}
