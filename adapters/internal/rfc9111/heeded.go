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

// Heeds says what the fields of a request that are [Heeded] are about, for the steps on a hit's way that nothing calls for.
type Heeds uint8

const (
	HeedsDirectives Heeds = 1 << iota // Cache-Control, Pragma
	HeedsOrigin                       // If-Match, If-Unmodified-Since, Upgrade: a cache neither answers nor stores
	HeedsConditions                   // If-None-Match, If-Modified-Since
	HeedsRange                        // Range; If-Range says nothing without it
	HeedsUser                         // Authorization
)

// says is what each field is about. What clients send most comes first.
var says = [...]struct {
	name  string
	about Heeds
}{
	{"If-None-Match", HeedsConditions},
	{"Cache-Control", HeedsDirectives},
	{"Authorization", HeedsUser},
	{"If-Modified-Since", HeedsConditions},
	{"Range", HeedsRange},
	{"Pragma", HeedsDirectives},
	{"If-Match", HeedsOrigin}, // RFC 9111 §4.3.2: only the origin can tell
	{"If-Unmodified-Since", HeedsOrigin},
	{"Upgrade", HeedsOrigin}, // RFC 9110 §7.8: it may leave HTTP
}

// HeedsOf looks for each field, for a browser sends more fields than there are to look for; in a glimpse, until all are found.
func HeedsOf(request http.Header) (h Heeds) {
	left := len(request)
	for i := 0; i < len(says) && left > 0; i++ {
		lines, ok := request[says[i].name]
		if ok {
			left--
		}
		if len(lines) > 0 {
			h |= says[i].about
		}
	}
	return h
}
