package httpcache

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

const (
	defaultName    = "http"
	defaultMaxBody = 8 << 20
	defaultMaxCost = 64 << 20
	defaultKeep    = time.Hour
)

// Options configures a [Cache]. The zero Options is an in-process cache that stores responses which say how long they
// are fresh.
type Options struct {
	// Name is the cache's namespace in Redis and its name in Cache-Status: letters, digits, '.', '_', '-' or '/'.
	// Caches of one Name on one Redis share what they store. Empty: "http".
	Name string
	// Redis is the second tier. nil: the cache is in-process only.
	Redis *tiered.Redis
	// SealKeys are the keys with which responses are encrypted in Redis, the first, and decrypted, any of them: see codec.Sealed. Their
	// URLs, times and tags can still be read. None: responses aren't encrypted.
	SealKeys []codec.SealKey
	// Logger gets errors in the background, at most every 10 seconds, and panics for which a stale response was served
	// instead. nil: slog.Default().
	Logger *slog.Logger

	// TTL is how long a 200 without any freshness information is fresh. 0: such responses are not stored, unless
	// Heuristic is set.
	TTL time.Duration
	// Heuristic makes responses without any freshness information, but with a Last-Modified, fresh for a tenth of
	// the time since then, at most a day (RFC 9111 §4.2.2). TTL takes precedence.
	Heuristic bool
	// StaleWhileRevalidate is how long after its freshness a response is served while it is renewed in the
	// background (RFC 5861 §3), if its Cache-Control doesn't have the directive. The package's documentation says when it is
	// renewed in the foreground instead. 0: not at all.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long after its freshness a response is served if the handler panics, or answers with a 500,
	// 502, 503 or 504 (RFC 5861 §4), if the response's Cache-Control doesn't have the directive. 0: not at all.
	StaleIfError time.Duration
	// Keep is how long after its freshness a response with an ETag or a Last-Modified is kept, so that the handler can
	// validate it. 0: 1 hour; negative: not at all.
	Keep time.Duration
	// ShareCookies makes the cache store responses with Set-Cookie, including their cookies, if they say that they are fresh, as RFC
	// 9111 §7.3 allows. false: only those that also have public or s-maxage.
	ShareCookies bool
	// StorePosts makes the cache store the response to a POST for later GETs, if its Content-Location says that it is their
	// response, and it says how long it is fresh (RFC 9110 §9.3.3). A POST then costs as much as a miss. false: none is stored.
	StorePosts bool
	// Private makes the cache a private one (RFC 9111 §1), as a client's is: it stores responses with private and responses to
	// requests with Authorization, and ignores s-maxage, proxy-revalidate and CDN-Cache-Control. All responses are stored for one
	// user alone: the one that User returns, or if User is nil, the one with the request's Authorization and Cookie. A change or a
	// Purge of a URL removes the response for the user of that request. If users have other credentials, in other fields such as
	// X-Api-Key or added to requests by a Transport's next, User must distinguish them; otherwise all caches of the Name on one
	// Redis must have the same ones. false: the cache is a shared one.
	Private bool
	// Collapse reports whether a request for which nothing is stored may wait for another one's response, which it gets if that
	// is shared. nil: requests without Authorization and Cookie; with Private, all.
	Collapse func(*http.Request) bool

	// IgnoreQuery has the names of parameters that don't change the response: "fbclid", or "utm_*" for all with that prefix.
	// They aren't in the key: if a handler uses one all the same, one client's response is served to others.
	// With Key they must not be set.
	IgnoreQuery []string
	// KeyHeaders has the names of header fields that are part of the key, in addition to those in the responses' Vary: fields that
	// a handler or a framework uses without naming them in Vary, which is common for X-Forwarded-Host, X-Forwarded-Proto,
	// X-Original-URL and X-HTTP-Method-Override. A change or a Purge of a URL removes the responses for all their values.
	KeyHeaders []string
	// User returns the user of a request, if the response is for that user only. It is then stored for this user alone, even if it
	// has private or Set-Cookie, or answers a request with Authorization. A change or a Purge of a URL removes the responses
	// for all users. "": the response is for all users, but with Private for a user of that name. nil: all responses are for all
	// users, or see Private.
	User func(*http.Request) string
	// Key returns the key of a request's response. With an empty key the request bypasses the
	// cache. Key gets HEAD requests as GETs, and must not read the body. Like User and Collapse it must not keep the
	// request. Everything in a request that changes the response must be in the key, or in the responses' Vary. nil: the scheme,
	// host, path and query of the client's request, as in keys.HostRequest, and the URL to which handlers around the cache rewrote it;
	// targets of unusual spellings have no key: see docs/http.md.
	Key func(*http.Request) string
	// Encodings has the content codings that the handler supports, the best first. A request's Accept-Encoding is
	// reduced to the first of them that it allows, for the handler and for Vary, so that browsers with different lists
	// share a response. A response without Content-Encoding to a request that allows none of them isn't served to a request that
	// allows one, even if it has no Vary: some compressors set Vary only when they compress. nil: Accept-Encoding isn't changed.
	Encodings []string

	// Outermost is the server's outermost handler, through which a stale response is renewed in the background. It is only needed
	// on net/http if the cache can't know it: if the server isn't an *http.Server (HTTP/3, Lambda, fcgi), or has a BaseContext or
	// a ConnContext, whose values the handlers don't get then. nil: the Handler of the request's *http.Server; if there is
	// none, a stale response is renewed before it is served.
	Outermost http.Handler

	// SharedBodies makes servers on fasthttp, with packages fasthttpcache, fibercache and fiber2cache, send the stored bytes of a body
	// instead of a copy, as net/http always does. Handlers around the cache must then not change the bytes of a response's body, nor
	// append to it: they may read it and set another one. false: they get a copy, which they may change.
	SharedBodies bool

	// MaxBody is the length of the longest body that is stored, in bytes; responses with longer ones aren't stored. Without Redis it is
	// at most MaxCost. 0: 8 MiB, or without Redis MaxCost if that is less.
	MaxBody int64
	// MaxCost is the local tier's capacity in bytes. A response costs its header fields, its body and 512 bytes
	// for the rest; its key, which has at most about 1 KiB, isn't included. 0: 64 MiB.
	MaxCost int64
}

// validated returns o with its defaults. tiered.New checks the Name.
func (o Options) validated() (Options, error) {
	if o.Name == "" {
		o.Name = defaultName
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"TTL", o.TTL}, {"StaleWhileRevalidate", o.StaleWhileRevalidate}, {"StaleIfError", o.StaleIfError},
	} {
		if d.value < 0 {
			return o, fmt.Errorf("httpcache: Options.%s is %v: want 0 (what the responses say) or more", d.field, d.value)
		}
		if err := tooShort(d.field, d.value); err != nil {
			return o, err
		}
	}
	if err := tooShort("Keep", o.Keep); err != nil {
		return o, err
	}
	switch {
	case o.Keep == 0:
		o.Keep = defaultKeep
	case o.Keep < 0:
		o.Keep = 0
	}
	ownMaxBody := o.MaxBody > 0
	for _, n := range []struct {
		field string
		value *int64
		zero  int64
	}{
		{"MaxBody", &o.MaxBody, defaultMaxBody},
		{"MaxCost", &o.MaxCost, defaultMaxCost},
	} {
		if *n.value < 0 {
			return o, fmt.Errorf("httpcache: Options.%s is %d: want 0 (%d) or more bytes", n.field, *n.value, n.zero)
		}
		if *n.value == 0 {
			*n.value = n.zero
		}
	}
	if o.Redis == nil && o.MaxBody > o.MaxCost { // no tier could store such a body
		if ownMaxBody {
			return o, fmt.Errorf("httpcache: Options.MaxBody is %d and MaxCost is %d: want a MaxBody of at most MaxCost, or a Redis", o.MaxBody, o.MaxCost)
		}
		o.MaxBody = o.MaxCost
	}
	switch {
	case o.Collapse != nil:
	case o.Private: // requests with the same key are one user's
		o.Collapse = func(*http.Request) bool { return true }
	default:
		o.Collapse = anonymous
	}
	if o.Private && o.User == nil {
		o.User = credentials
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, o.validateKey()
}

// tooShort returns an error for a duration that was probably meant in seconds.
func tooShort(field string, d time.Duration) error {
	if 0 < d && d < time.Millisecond {
		return fmt.Errorf("httpcache: Options.%s is %v: want at least 1ms; a plain number counts nanoseconds: %d seconds are %d*time.Second",
			field, d, int64(d), int64(d))
	}
	return nil
}

// validateKey checks the options of the key.
func (o *Options) validateKey() error {
	for _, list := range []struct {
		field  string
		values []string
		valid  func(string) bool
		want   string
	}{
		{"IgnoreQuery", o.IgnoreQuery, isParameter, "a parameter's name, with a * at its end at most"},
		{"KeyHeaders", o.KeyHeaders, rfc9111.IsFieldName, "a field's name"},
		{"Encodings", o.Encodings, rfc9111.IsFieldName, "a content coding's name"}, // tokens, too (RFC 9110 §8.4.1)
	} {
		for _, v := range list.values {
			if !list.valid(v) {
				return fmt.Errorf("httpcache: Options.%s has %q: want %s", list.field, v, list.want)
			}
		}
	}
	if o.Key != nil && len(o.IgnoreQuery)+len(o.KeyHeaders) > 0 {
		return fmt.Errorf("httpcache: Options.Key is set with IgnoreQuery or KeyHeaders: want one or the other")
	}
	return nil
}

// isParameter reports whether s names parameters of a query, or with a * at the end all that begin with it.
func isParameter(s string) bool {
	return s != "" && !strings.ContainsAny(strings.TrimSuffix(s, "*"), "* \t,;")
}

// credentials returns a digest of the fields that identify a user; "" if there are none.
func credentials(r *http.Request) string {
	authorization, cookies := r.Header["Authorization"], r.Header["Cookie"]
	if len(authorization)+len(cookies) == 0 {
		return ""
	}
	return keys.Digest([2][]string{authorization, cookies})
}

// anonymous reports whether the request has nothing that identifies a user.
func anonymous(r *http.Request) bool {
	return len(r.Header["Authorization"]) == 0 && len(r.Header["Cookie"]) == 0
}

func (o *Options) defaults() rfc9111.Defaults {
	return rfc9111.Defaults{
		Kind: o.kind(), TTL: o.TTL, Heuristic: o.Heuristic, StaleWhileRevalidate: o.StaleWhileRevalidate, StaleIfError: o.StaleIfError,
	}
}

func (o *Options) kind() rfc9111.Kind {
	if o.Private {
		return rfc9111.Private
	}
	return rfc9111.Shared
}

// normalised returns the request with its Accept-Encoding reduced as Options.Encodings says.
func (o *Options) normalised(r *http.Request) *http.Request {
	if len(o.Encodings) == 0 {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = maps.Clone(r.Header)
	r.Header[acceptEncoding] = []string{rfc9111.Encoding(r.Header[acceptEncoding], o.Encodings)}
	return r
}

const (
	acceptEncoding = "Accept-Encoding"
	identity       = "identity"
)
