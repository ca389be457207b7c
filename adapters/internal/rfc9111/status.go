package rfc9111

import (
	"strconv"
	"strings"
	"time"
)

// Forward is why a cache went to the handler (RFC 9211 §2.2).
type Forward string

const (
	ForBypass  Forward = "bypass"   // the cache doesn't handle such requests
	ForMethod  Forward = "method"   // the method's semantics
	ForMiss    Forward = "uri-miss" // nothing is stored for the URI
	ForRequest Forward = "request"  // the request's directives
)

// Status is one cache's member of a Cache-Status field (RFC 9211): a hit, or else a Forward.
type Status struct {
	Cache     string // the cache's name
	Hit       bool
	TTL       time.Duration // the freshness that is left, cut to whole seconds; of a hit only
	Forward   Forward
	Stored    bool // the response is being stored
	Collapsed bool // the answer is another request's response
}

// String returns the member as it is in the field.
func (s Status) String() string {
	b := make([]byte, 0, 64)
	b = appendItem(b, s.Cache)
	if s.Hit {
		b = append(b, "; hit; ttl="...)
		return string(strconv.AppendInt(b, int64(s.TTL/time.Second), 10))
	}
	if s.Forward != "" {
		b = append(b, "; fwd="...)
		b = append(b, s.Forward...)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	return string(b)
}

// appendItem appends s as a token if it is one, else as a string, of which what isn't printable ASCII becomes '?'
// (RFC 9651 §3.3.3, §3.3.4).
func appendItem(b []byte, s string) []byte {
	if isToken(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r < ' ' || r > '~':
			b = append(b, '?')
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		default:
			b = append(b, byte(r))
		}
	}
	return append(b, '"')
}

func isToken(s string) bool {
	for i, c := range []byte(s) {
		alpha := 'a' <= c|0x20 && c|0x20 <= 'z'
		if i == 0 && !alpha && c != '*' {
			return false
		}
		if !alpha && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~:/", rune(c)) {
			return false
		}
	}
	return s != ""
}
