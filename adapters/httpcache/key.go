package httpcache

import (
	"bytes"
	"hash/maphash"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/keys"
)

// maxKey is the length of the longest key that isn't shortened: clients choose the length of a URL.
const maxKey = 1 << 10

// keyMaker makes the keys of requests by the options.
type keyMaker struct {
	key      appendKey                  // Options.Key, or the default
	url      appendKey                  // the same without header fields, for the tag of a URL
	user     func(*http.Request) string // Options.User
	private  bool                       // Options.Private
	usual    bool                       // key is the default, which has a URL's usual spellings
	extra    bool                       // the key has fields, or the user of a shared cache, so that a URL has several
	previews bool                       // a preview has all fields that the key and the lookup need
	made     *madeKeys                  // nil: keys depend on more than the URL and the host
}

// appendKey appends the key of a request, or nothing if the request bypasses the cache.
type appendKey func(b []byte, r *http.Request) []byte

func newKeyMaker(o *Options) keyMaker {
	k := keyMaker{user: o.User, private: o.Private, extra: o.User != nil && !o.Private || len(o.KeyHeaders) > 0}
	if own := o.Key; own != nil {
		k.key = func(b []byte, r *http.Request) []byte { return append(b, own(r)...) }
		k.url = k.key
		return k
	}
	k.key, k.url = defaultKey(o.IgnoreQuery, o.KeyHeaders), defaultKey(o.IgnoreQuery, nil)
	k.usual, k.previews = true, !k.extra && o.User == nil && len(o.Encodings) == 0
	if !k.extra && o.User == nil {
		k.made = &madeKeys{seed: maphash.MakeSeed()}
	}
	return k
}

// primary returns the key of the GET for r's URL, "" if the request bypasses the cache; and whether it is one user's. A shortened
// key is longer than unshortened ones, and so never equals one. A client's request has another key than a server's: what the origin
// responds to it mustn't be replaced by what this process responds to a request with such a Host, which anybody can send.
func (k *keyMaker) primary(r *http.Request, ofClient bool) (key string, private bool) {
	b, private := k.appendPrimary(make([]byte, 0, maxKey/4), r, ofClient)
	return string(b), private
}

// appendPrimary appends the primary key to b, which is empty: most hits need no memory for it but that of an earlier request.
func (k *keyMaker) appendPrimary(b []byte, r *http.Request, ofClient bool) (key []byte, private bool) {
	r = asGet(r)
	kind := "" // no key without a kind begins like one with a kind
	if ofClient {
		kind = "client "
	}
	b = k.key(append(b, kind...), r)
	url := b[len(kind):]
	switch {
	case len(url) == 0:
		return nil, false
	case k.private:
		b, private = []byte(keys.Join("private "+kind, string(url), k.user(r))), true
	case k.user != nil:
		user := k.user(r)
		b, private = []byte(kind+keys.Join(string(url), user)), user != "" // also for "": otherwise a URL could be chosen that has a user's key
	}
	switch {
	case bytes.IndexByte(b, 0) >= 0: // NUL is reserved for the keys that the cache derives from this one
		b = []byte("\x00" + keys.Digest(string(b)))
	case len(b) > maxKey:
		b = append(b[:maxKey], keys.Digest(string(b))...)
	}
	return b, private
}

func asGet(r *http.Request) *http.Request {
	if r.Method == http.MethodGet {
		return r
	}
	r = r.WithContext(r.Context())
	r.Method = http.MethodGet
	return r
}

// spellings returns requests for the client's URL, one for each usual spelling, in both forms of a target.
func (k *keyMaker) spellings(r *http.Request) []*http.Request {
	if !k.usual || r.URL.Opaque != "" {
		return []*http.Request{r}
	}
	asked := askedURL(r)
	schemes := []string{r.URL.Scheme}
	if r.TLS == nil && strings.HasPrefix(r.RequestURI, "https:") { // the absolute form on a connection without TLS
		schemes = append(schemes, "")
	}
	var list []*http.Request
	for _, path := range rfc9111.Spellings(asked.EscapedPath()) {
		for _, scheme := range schemes {
			other := r.WithContext(r.Context())
			other.URL = &url.URL{Scheme: scheme, Path: asked.Path, RawPath: path, RawQuery: asked.RawQuery}
			other.RequestURI = ""
			absolute := other.WithContext(r.Context())
			absolute.RequestURI = absoluteURI(other)
			list = append(list, other, absolute)
		}
	}
	return list
}

// urlTag returns the tag of all responses for the URL of the client's request, whatever else is in their keys. A NUL,
// which no header field has, distinguishes it from the handlers' tags. A change or a Purge of the URL removes responses by this tag whose
// keys have other parts, see tagged.
func (k *keyMaker) urlTag(r *http.Request) string {
	if k.usual {
		asked := r.WithContext(r.Context())
		asked.URL, asked.RequestURI = askedURL(r), ""
		r = asked
	}
	key := k.url(nil, asGet(r))
	if len(key) == 0 {
		return ""
	}
	return "\x00" + keys.Digest(string(key))
}

// tagged reports whether the key for the request has more than the URL of the client's request: the
// fields of Options.KeyHeaders, a user, or a rewritten URL.
func (k *keyMaker) tagged(r *http.Request) bool {
	return k.extra || k.usual && isRewritten(r)
}

// groupTags returns the tags of groups, which belong to the request's origin (RFC 9875 §2).
func groupTags(r *http.Request, groups []string) []string {
	tags := make([]string, len(groups))
	r = withoutPort(r)
	for i, group := range groups {
		tags[i] = "\x00" + keys.Digest([]any{secure(r), strings.ToLower(r.Host), group})
	}
	return tags
}

// partKey returns the key of a part of the response with the key.
func partKey(key string) string { return key + "\x00part" }

// defaultKey returns the default for Options.Key.
func defaultKey(ignore, headers []string) appendKey {
	names := make([]string, len(headers))
	for i, name := range headers {
		names[i] = textproto.CanonicalMIMEHeaderKey(name)
	}
	return func(b []byte, r *http.Request) []byte {
		asked, rewritten, ok := target(r)
		if !ok {
			return b
		}
		if isAbsolute(r) {
			b = append(b, "absolute "...)
		}
		if secure(r) {
			b = append(b, "https "...)
		}
		b = keys.AppendHostRequest(b, withoutParams(asked, ignore))
		if rewritten {
			b = append(append(b, ' '), keys.Request(withoutParams(r, ignore))...)
		}
		if len(names) > 0 {
			b = append(append(b, ' '), keys.Digest(rfc9111.Selecting(names, r.Header))...)
		}
		return b
	}
}

// withoutParams returns the request without the parameters that match one of the patterns. It keeps parts of the query that can't be
// parsed.
func withoutParams(r *http.Request, patterns []string) *http.Request {
	if len(patterns) == 0 || r.URL.RawQuery == "" {
		return r
	}
	var kept []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if strings.Contains(pair, ";") || err != nil || !matches(name, patterns) {
			kept = append(kept, pair)
		}
	}
	r = r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery = strings.Join(kept, "&")
	r.URL = &u
	return r
}

func matches(name string, patterns []string) bool {
	for _, p := range patterns {
		if prefix, open := strings.CutSuffix(p, "*"); name == p || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
