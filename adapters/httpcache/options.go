package httpcache

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

const (
	defaultName    = "http"
	defaultMaxBody = 8 << 20
	defaultMaxCost = 64 << 20
	defaultKeep    = time.Hour
)

// Options configures a [Cache]. The zero Options is an in-process cache that stores the responses that say how long they
// are fresh.
type Options struct {
	// Name is the cache's namespace in Redis and its name in Cache-Status: letters, digits, '.', '_', '-' or '/'.
	// Caches of one Name on one Redis share what they store. Empty: "http".
	Name string
	// Redis is the second tier. nil: the cache is in-process only.
	Redis *tiered.Redis
	// Logger is told of what goes wrong behind the requests' backs, at most every 10 seconds, and of panics in whose place a
	// stale response was served. nil: slog.Default().
	Logger *slog.Logger

	// TTL is how long a 200 is fresh that says nothing about its freshness. 0: such responses are not stored, unless
	// Heuristic is set.
	TTL time.Duration
	// Heuristic has responses that say nothing about their freshness, but have a Last-Modified, be fresh for a tenth of
	// the time since then, at most a day (RFC 9111 §4.2.2). TTL goes before it.
	Heuristic bool
	// StaleWhileRevalidate is for how long past its freshness a response is served while the handler is asked for a new
	// one behind (RFC 5861 §3), where the response's Cache-Control doesn't say so. The package's documentation says when it is
	// asked before instead. 0: not at all.
	StaleWhileRevalidate time.Duration
	// StaleIfError is for how long past its freshness a response is served when the handler panics, or answers with a 500,
	// 502, 503 or 504 (RFC 5861 §4), where the response's Cache-Control doesn't say so. 0: not at all.
	StaleIfError time.Duration
	// Keep is for how long past its freshness a response that has an ETag or a Last-Modified is kept, to ask the handler
	// whether it still holds. 0: 1 hour; negative: not at all.
	Keep time.Duration
	// ShareCookies has responses with Set-Cookie stored, cookies and all, if they say that they are fresh, as RFC 9111
	// §7.3 has it. false: only those that also say public or s-maxage.
	ShareCookies bool
	// StorePosts has the response to a POST stored for later GETs, if it says that it is what they would bring, with its
	// Content-Location, and for how long (RFC 9110 §9.3.3). A POST then costs what a miss does. false: none is.
	StorePosts bool
	// Collapse reports whether a request that finds nothing stored may wait for the response to another one, if that
	// turns out to be for all. nil: those without Authorization and Cookie.
	Collapse func(*http.Request) bool

	// IgnoreQuery are names of parameters that don't change the response: "fbclid", or "utm_*" for all that begin so.
	// They count for nothing in the key: a handler that makes something of one all the same gives one client's to others.
	// With Key, that has to do it.
	IgnoreQuery []string
	// KeyHeaders are names of header fields that are part of the key, beside those that the responses' Vary names: fields that
	// a handler or a framework acts on without saying so, as X-Forwarded-Host, X-Forwarded-Proto, X-Original-URL and
	// X-HTTP-Method-Override often are. A change or a Purge of a URL removes what is stored for all their values.
	KeyHeaders []string
	// User returns who a request is from, if the response is that user's: then it is stored for this user alone, though it
	// says private, has a Set-Cookie, or answers a request with Authorization. A change or a Purge of a URL removes what is
	// stored for all users. "": the response is for all. nil: all are.
	User func(*http.Request) string
	// Key returns what a request's response is stored under. The empty string means that the cache has no part in
	// the request. It sees HEAD requests as GETs, and may not read the body. Like User and Collapse it may not keep the
	// request. Whatever in a request changes the response must be in the key, or in the responses' Vary. nil: the scheme,
	// host, path and query that the client asked for, as in keys.HostRequest, with what handlers around the cache made of the URL;
	// targets of unusual spellings have no key: see docs/http.md.
	Key func(*http.Request) string
	// Encodings are the content codings that the handler can make, the best first. Then a request's Accept-Encoding is
	// reduced to the first of them that it allows, for the handler and for Vary, so that browsers with different lists
	// share a response. A response without Content-Encoding to a request that allows none of them is for no request that
	// allows one, also if it has no Vary: some compressors say that only when they compress. nil: Accept-Encoding is left as
	// it is.
	Encodings []string

	// Outermost is the server's outermost handler, through which a stale response is renewed behind the request. It is only needed
	// where the cache can't know it, on net/http: the server is no *http.Server (HTTP/3, Lambda, fcgi), or has a BaseContext or
	// a ConnContext, without which the handlers then must do. nil: the Handler of the request's *http.Server; if there is
	// none, a stale response is renewed before it is served.
	Outermost http.Handler

	// MaxBody is the length of the longest body that is stored, in bytes; longer ones pass through. Without Redis at most MaxCost.
	// 0: 8 MiB, or without Redis MaxCost if that is less.
	MaxBody int64
	// MaxCost is the local tier's capacity in bytes. A response counts with its header fields, its body and 512 bytes
	// for the rest; its key, of which no more than about 1 KiB is kept, doesn't count. 0: 64 MiB.
	MaxCost int64

	previews      bool                       // the key needs no more of a request than a preview has
	defaultKey    bool                       // the key is the default, which has a URL's usual spellings
	extraKeyParts bool                       // the key has fields or a user
	urlKey        func(*http.Request) string // the key without these
}

// validated returns o with the defaults filled in. The Name is for tiered.New to judge.
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
			return o, fmt.Errorf("httpcache: Options.%s is %v: want 0 (what responses say of it) or more", d.field, d.value)
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
	if o.Redis == nil && o.MaxBody > o.MaxCost { // nothing could keep such a body
		if ownMaxBody {
			return o, fmt.Errorf("httpcache: Options.MaxBody is %d and MaxCost is %d: want a MaxBody of at most MaxCost, or a Redis", o.MaxBody, o.MaxCost)
		}
		o.MaxBody = o.MaxCost
	}
	if o.Collapse == nil {
		o.Collapse = anonymous
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o.validatedKey()
}

// tooShort returns an error for a duration that was meant to be of seconds.
func tooShort(field string, d time.Duration) error {
	if 0 < d && d < time.Millisecond {
		return fmt.Errorf("httpcache: Options.%s is %v: want at least 1ms; a plain number counts nanoseconds: %d seconds are %d*time.Second",
			field, d, int64(d), int64(d))
	}
	return nil
}

// validatedKey looks at what makes the key.
func (o Options) validatedKey() (Options, error) {
	for _, list := range []struct {
		field  string
		values []string
	}{
		{"IgnoreQuery", o.IgnoreQuery}, {"KeyHeaders", o.KeyHeaders}, {"Encodings", o.Encodings},
	} {
		for _, v := range list.values {
			if v == "" || strings.ContainsAny(v, " \t,;") {
				return o, fmt.Errorf("httpcache: Options.%s has %q: want a name", list.field, v)
			}
		}
	}
	if o.Key != nil && len(o.IgnoreQuery)+len(o.KeyHeaders) > 0 {
		return o, fmt.Errorf("httpcache: Options.Key is set with IgnoreQuery or KeyHeaders: want one or the other")
	}
	o.extraKeyParts, o.urlKey = o.User != nil || len(o.KeyHeaders) > 0, o.Key
	if o.Key == nil {
		o.defaultKey = true
		o.previews = o.User == nil && len(o.KeyHeaders)+len(o.Encodings) == 0
		o.Key = keyMaker(o.IgnoreQuery, o.KeyHeaders)
		o.urlKey = keyMaker(o.IgnoreQuery, nil)
	}
	return o, nil
}

// anonymous reports whether nothing in the request tells one user from another.
func anonymous(r *http.Request) bool {
	return len(r.Header["Authorization"]) == 0 && len(r.Header["Cookie"]) == 0
}

func (o *Options) defaults() rfc9111.Defaults {
	return rfc9111.Defaults{
		TTL: o.TTL, Heuristic: o.Heuristic, StaleWhileRevalidate: o.StaleWhileRevalidate, StaleIfError: o.StaleIfError,
	}
}
