package rfc9111

import (
	"net/http"
	"strings"
)

// RelevantField reports whether a field of a GET or HEAD says something to the rules, whatever is stored: no function here reads
// another field of a request, but for those that a response's Vary names, and Accept-Language. The name may be in any case;
// the canonical one is returned, or "".
func RelevantField(name string) (canonical string) {
	switch len(name) { // nearly all are ruled out by that
	case len("Range"):
		canonical = "Range"
	case len("Pragma"):
		canonical = "Pragma"
	case len("Upgrade"):
		canonical = "Upgrade"
	case len("Connection"):
		canonical = "Connection"
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

// Relevant says what the fields of a request that are relevant are about, for the steps on a hit's way that nothing calls for.
type Relevant uint8

const (
	RelevantDirectives Relevant = 1 << iota // Cache-Control, Pragma
	RelevantOrigin                          // If-Match, If-Unmodified-Since, and what only a neighbour may see: a cache neither answers nor stores
	RelevantConditions                      // If-None-Match, If-Modified-Since
	RelevantRange                           // Range; If-Range says nothing without it
	RelevantUser                            // Authorization
)

// relevantFields is what each field is about. What clients send most comes first.
var relevantFields = [...]struct {
	name  string
	about Relevant
	when  func(lines []string) bool // nil: whatever it says
}{
	{"Connection", RelevantOrigin, namesEndToEnd},
	{"If-None-Match", RelevantConditions, nil},
	{"Cache-Control", RelevantDirectives, nil},
	{"Authorization", RelevantUser, nil},
	{"If-Modified-Since", RelevantConditions, nil},
	{"Range", RelevantRange, nil},
	{"Pragma", RelevantDirectives, nil},
	{"If-Match", RelevantOrigin, nil}, // RFC 9111 §4.3.2: only the origin can tell
	{"If-Unmodified-Since", RelevantOrigin, nil},
	{"Upgrade", RelevantOrigin, leavesHTTP},
}

// namesEndToEnd reports whether a Connection field names one that is not a connection's own (RFC 9110 §7.6.1): a proxy after the
// cache drops that field, and a handler sees it, so its value says nothing of the response.
func namesEndToEnd(connection []string) bool {
	for _, line := range connection {
		for option := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(trimOWS(option)) {
			case "", "close", "keep-alive", "upgrade", "te", "trailer", "transfer-encoding", "proxy-connection", "http2-settings":
			default:
				return true
			}
		}
	}
	return false
}

// leavesHTTP reports whether a request may turn its connection into one of another protocol than HTTP (RFC 9110 §7.8). Some
// clients offer h2c with each of their requests, and take an answer of HTTP/1.1 all the same.
func leavesHTTP(upgrade []string) bool {
	for _, line := range upgrade {
		for protocol := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(trimOWS(protocol)) {
			case "", "h2c", "h2", "http/2.0":
			default:
				return true
			}
		}
	}
	return false
}

// RelevantOf looks for each field, for a browser sends more fields than there are to look for; in a preview, until all are found.
func RelevantOf(request http.Header) (h Relevant) {
	left := len(request)
	for i := 0; i < len(relevantFields) && left > 0; i++ {
		lines, ok := request[relevantFields[i].name]
		if ok {
			left--
		}
		if len(lines) > 0 && (relevantFields[i].when == nil || relevantFields[i].when(lines)) {
			h |= relevantFields[i].about
		}
	}
	return h
}
