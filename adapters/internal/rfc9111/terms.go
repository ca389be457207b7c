package rfc9111

import (
	"net/http"
	"time"
)

// Defaults has the kind of the cache, and its options for responses without the corresponding directives.
type Defaults struct {
	Kind      Kind
	TTL       time.Duration // freshness of a 200 without any freshness information; 0: none
	Heuristic bool          // §4.2.2: a tenth of the time since Last-Modified, up to 24 h. TTL takes precedence

	// For responses whose Cache-Control doesn't have them.
	StaleWhileRevalidate, StaleIfError time.Duration
}

// Terms says when and how a stored response may be used.
type Terms struct {
	Lifetime time.Duration // fresh up to this age; with invalid freshness information: 0
	Explicit bool          // the response has freshness information: s-maxage, max-age, Expires or no-cache
	NoCache  bool          // §5.2.2.4, the form without field names: validated before each use

	// must-revalidate, proxy-revalidate or s-maxage (§5.2.2.2, §5.2.2.8, §5.2.2.10): never served stale.
	MustRevalidate bool

	// RFC 5861, past Lifetime; 0 with NoCache or MustRevalidate.
	StaleWhileRevalidate, StaleIfError time.Duration

	Shared bool // §3.5: may be stored for, and answer, requests with Authorization
}

// TermsOf returns the terms of a response to a GET whose fields arrived at the time received.
func TermsOf(status int, response http.Header, received time.Time, d Defaults) Terms {
	cc, targeted := Control(response, d.Kind)
	t := Terms{
		NoCache:        cc.whole("no-cache"),
		MustRevalidate: cc.Has("must-revalidate") || cc.Has("proxy-revalidate") || cc.Has("s-maxage"),
		Shared:         sharedBy(cc),
	}
	t.Lifetime, t.Explicit = lifetime(cc, targeted, response, received)
	t.Explicit = t.Explicit || t.NoCache && heuristicallyCacheable(status, cc) // §3: no-cache alone doesn't allow to store others
	switch {
	case t.Explicit || t.NoCache:
	case d.TTL > 0 && status == http.StatusOK:
		t.Lifetime = d.TTL
	case d.Heuristic && heuristicallyCacheable(status, cc):
		t.Lifetime = heuristicLifetime(response, received)
	}
	if t.NoCache || t.MustRevalidate { // §4.2.4
		return t
	}
	if t.Lifetime == 0 {
		d.StaleWhileRevalidate = 0 // max-age=0 means that the handler must be asked first
	}
	t.StaleWhileRevalidate = secondsOr(cc, "stale-while-revalidate", d.StaleWhileRevalidate)
	t.StaleIfError = secondsOr(cc, "stale-if-error", d.StaleIfError)
	return t
}

// sharedBy reports whether a directive lets a response to a request with Authorization be shared (RFC 9111 §3.5).
func sharedBy(cc CacheControl) bool {
	return cc.Has("public") || cc.Has("s-maxage") || cc.Has("must-revalidate")
}

func secondsOr(cc CacheControl, name string, otherwise time.Duration) time.Duration {
	if d, ok := cc.Seconds(name); ok {
		return d
	}
	return otherwise
}

// heuristicallyCacheable reports whether the freshness of a response that doesn't say it may be guessed (RFC 9111
// §4.2.2).
func heuristicallyCacheable(status int, cc CacheControl) bool {
	switch status { // RFC 9110 §15.1, without 206
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return cc.Has("public") // §5.2.2.9
}
