package rfc9111

import (
	"net/http"
	"time"
)

// Decision says what a cache does for a request for which it has a stored response.
type Decision int

const (
	Serve           Decision = iota // answer with it: it is fresh, or no staler than the request allows
	ServeAndRefresh                 // answer with it though it is stale, and renew it in the background (RFC 5861 §3)
	Validate                        // ask the origin first
	ValidateOrStale                 // the same; if the origin fails, the stale response may be served (RFC 5861 §4): see [OriginFailed]
)

// String returns "serve", "serve and refresh", "validate" or "validate or stale".
func (d Decision) String() string {
	switch d {
	case Serve:
		return "serve"
	case ServeAndRefresh:
		return "serve and refresh"
	case ValidateOrStale:
		return "validate or stale"
	}
	return "validate"
}

// Decide returns what to do with a stored response of a certain age for a request with these directives (RFC 9111
// §4.2, §5.2.1). The caller handles no-store and only-if-cached, which don't depend on the stored response.
func Decide(t Terms, age time.Duration, d Directives) Decision {
	left := t.Lifetime - age
	switch {
	case t.NoCache || d.NoCache: // §5.2.2.4, §5.2.1.4
		return Validate
	case d.MaxAge == 0 || d.MaxAge > 0 && age > d.MaxAge: // §5.2.1.1; 0 is how a browser reloads
		return Validate
	case left > 0 && left >= d.MinFresh: // §5.2.1.3
		return Serve
	case left <= 0 && t.MustRevalidate: // §4.2.4
		return Validate
	case d.MinFresh <= 0 && d.MaxAge < 0 && -left < t.StaleWhileRevalidate:
		return ServeAndRefresh
	case d.MinFresh <= 0 && d.MaxStale > 0 && -left <= d.MaxStale: // §5.2.1.2
		return Serve
	case d.MaxAge < 0 && t.StaleIfError > 0 && -left < t.StaleIfError: // max-age takes nothing stale without max-stale
		return ValidateOrStale
	}
	return Validate
}

// OriginFailed reports whether a status code is one that stale-if-error is for (RFC 5861 §4).
func OriginFailed(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
