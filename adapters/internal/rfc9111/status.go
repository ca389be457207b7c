package rfc9111

import (
	"strconv"
	"time"
)

// Forward is why a cache went to the handler (RFC 9211 §2.2).
type Forward string

const (
	ForBypass   Forward = "bypass"    // the cache doesn't handle such requests
	ForMethod   Forward = "method"    // the method's semantics
	ForMiss     Forward = "uri-miss"  // nothing is stored for the URI
	ForVaryMiss Forward = "vary-miss" // no response that is stored for the URI matches the request
	ForRequest  Forward = "request"   // the request's directives
	ForStale    Forward = "stale"     // the stored response is stale
	ForPartial  Forward = "partial"   // only a part of the requested range is stored
)

// Status is one cache's member of a Cache-Status field (RFC 9211): a hit, or a Forward.
type Status struct {
	Cache     string // the cache's name
	Hit       bool
	Forward   Forward
	FwdStatus int           // the status code of the response to the forwarded request, where the answer has another; else 0
	TTL       time.Duration // the remaining freshness, in whole seconds, negative for a stale response; for hits only
	Stored    bool          // the response is being stored
	Collapsed bool          // the response is another request's
	Detail    string        // defined by the cache
}

// String returns the member as it is in the field.
func (s Status) String() string { return string(s.Append(make([]byte, 0, 96))) }

// Append appends the member as it is in the field.
func (s Status) Append(b []byte) []byte {
	b = appendItem(b, s.Cache)
	if s.Hit {
		b = append(b, "; hit; ttl="...)
		b = strconv.AppendInt(b, int64(s.TTL/time.Second), 10)
	} else {
		b = s.appendForward(b)
	}
	if s.Detail != "" {
		b = appendItem(append(b, "; detail="...), s.Detail)
	}
	return b
}

// appendForward appends the parameters of a request that was forwarded.
func (s Status) appendForward(b []byte) []byte {
	if s.Forward != "" {
		b = append(b, "; fwd="...)
		b = append(b, s.Forward...)
	}
	if s.FwdStatus != 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(s.FwdStatus), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	return b
}

// appendItem appends s as a token if it is one, or else as a string, with '?' for bytes that aren't printable ASCII
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

// isToken reports whether s is a token of a structured field (RFC 9651 §3.3.4).
func isToken(s string) bool {
	k, text, _, ok := cutBare(s)
	return ok && k == kindToken && text == s
}
