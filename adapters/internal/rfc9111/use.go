package rfc9111

import "net/http"

// Use is what a request lets a cache do for it.
type Use int

const (
	Reuse  Use = iota // answer from the store; store what the handler answers
	Reload            // ask the handler, whatever is stored; store what it answers
	Pass              // have no part in it
)

// String returns "reuse", "reload" or "pass".
func (u Use) String() string {
	switch u {
	case Reuse:
		return "reuse"
	case Reload:
		return "reload"
	}
	return "pass"
}

// RequestUse returns what a request lets a cache do, and why if that is less than Reuse.
func RequestUse(method string, h http.Header) (Use, Forward) {
	if method != http.MethodGet && method != http.MethodHead {
		return Pass, ForMethod
	}
	for _, name := range [...]string{
		"Authorization",                   // §3.5: what it allows is seldom for others
		"Range",                           // §3.3: the answer may be a part
		"If-Match", "If-Unmodified-Since", // §4.3.2: only the origin can tell
		"Upgrade", // RFC 9110 §7.8: it may leave HTTP
	} {
		if len(h[name]) > 0 {
			return Pass, ForBypass
		}
	}
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		// §5.4: Pragma is only for who doesn't know Cache-Control.
		if ParseCacheControl(h["Pragma"]).Has("no-cache") {
			return Reload, ForRequest
		}
		return Reuse, ""
	}
	cc := ParseCacheControl(lines)
	if cc.Has("no-store") { // §5.2.1.5
		return Pass, ForRequest
	}
	maxAge, ok := cc.Seconds("max-age")            // §5.2.1.1
	if cc.Has("no-cache") || (ok && maxAge == 0) { // §5.2.1.4
		return Reload, ForRequest
	}
	return Reuse, ""
}
