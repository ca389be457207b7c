package rfc9111

import (
	"net/http"
	"strings"
)

// RelevantField returns the canonical name of a field of a GET or HEAD that the rules read, and "" for others. No function here reads
// another field of a request, except those in a response's Vary, and Accept-Language. The name may be in any
// case.
func RelevantField(name string) (canonical string) {
	switch len(name) { // excludes nearly all fields
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

// Relevant is the set of kinds of relevant fields that a request has. A hit skips the steps for other kinds.
type Relevant uint8

const (
	RelevantDirectives Relevant = 1 << iota // Cache-Control, Pragma
	RelevantOrigin                          // If-Match, If-Unmodified-Since, and hop-by-hop fields: a cache neither answers nor stores
	RelevantConditions                      // If-None-Match, If-Modified-Since
	RelevantRange                           // Range; If-Range has no effect without it
	RelevantUser                            // Authorization
)

// relevantFields has the kind of each field. The most frequent ones come first.
var relevantFields = [...]struct {
	name  string
	about Relevant
	when  func(lines []string) bool // nil: with any value
}{
	{"Connection", RelevantOrigin, namesEndToEnd},
	{"If-None-Match", RelevantConditions, nil},
	{"Cache-Control", RelevantDirectives, nil},
	{"Authorization", RelevantUser, nil},
	{"If-Modified-Since", RelevantConditions, nil},
	{"Range", RelevantRange, nil},
	{"Pragma", RelevantDirectives, nil},
	{"If-Match", RelevantOrigin, nil}, // RFC 9111 §4.3.2: only the origin can evaluate it
	{"If-Unmodified-Since", RelevantOrigin, nil},
	{"Upgrade", RelevantOrigin, leavesHTTP},
}

// namesEndToEnd reports whether a Connection field names one that isn't hop-by-hop (RFC 9110 §7.6.1): a proxy behind the
// cache drops that field, but a handler sees it, so that it is unknown whether the response depends on it.
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

// leavesHTTP reports whether a request may upgrade its connection to another protocol than HTTP (RFC 9110 §7.8). Some
// clients offer h2c with every request, and accept HTTP/1.1 all the same.
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

// RelevantOf looks up each relevant field, since a browser sends more fields than there are relevant ones; in a preview it stops when
// all fields have been found.
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
