package httpcache

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/keys"
)

// maxKey is the length of the longest key that isn't shortened: clients choose the length of a URL.
const maxKey = 1 << 10

// primary returns the key of the GET for r's URL, "" if the request bypasses the cache; and whether it is one user's. A shortened
// key is longer than unshortened ones, and so never equals one.
func (c *Cache) primary(r *http.Request) (key string, private bool) {
	r = asGet(r)
	if key = c.options.Key(r); key == "" {
		return "", false
	}
	if c.options.User != nil {
		user := c.options.User(r)
		key, private = keys.Join(key, user), user != "" // also for "": otherwise a URL could be chosen that has a user's key
	}
	switch {
	case strings.IndexByte(key, 0) >= 0: // NUL is reserved for the keys that the cache derives from this one
		key = "\x00" + keys.Digest(key)
	case len(key) > maxKey:
		key = key[:maxKey] + keys.Digest(key)
	}
	return key, private
}

func asGet(r *http.Request) *http.Request {
	if r.Method == http.MethodGet {
		return r
	}
	r = r.WithContext(r.Context())
	r.Method = http.MethodGet
	return r
}

// urlTag returns the tag of all responses for the URL of the client's request, whatever else is in their keys. A NUL,
// which no header field has, distinguishes it from the handlers' tags. A change or a Purge of the URL removes responses by this tag whose
// keys have other parts, see tagged.
func (c *Cache) urlTag(r *http.Request) string {
	if c.options.defaultKey {
		asked := r.WithContext(r.Context())
		asked.URL, asked.RequestURI = askedURL(r), ""
		r = asked
	}
	key := c.options.urlKey(asGet(r))
	if key == "" {
		return ""
	}
	return "\x00" + keys.Digest(key)
}

// tagged reports whether the key for the request has more than the URL of the client's request: the
// fields of Options.KeyHeaders, a user, or a rewritten URL.
func (c *Cache) tagged(r *http.Request) bool {
	return c.options.extraKeyParts || c.options.defaultKey && isRewritten(r)
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

// keyMaker returns the default for Options.Key.
func keyMaker(ignore, headers []string) func(*http.Request) string {
	names := make([]string, len(headers))
	for i, name := range headers {
		names[i] = textproto.CanonicalMIMEHeaderKey(name)
	}
	return func(r *http.Request) string {
		asked, rewritten, ok := target(r)
		if !ok {
			return ""
		}
		key := keys.HostRequest(withoutParams(asked, ignore))
		if secure(r) {
			key = "https " + key
		}
		if isAbsolute(r) {
			key = "absolute " + key
		}
		if rewritten {
			key += " " + keys.Request(withoutParams(r, ignore))
		}
		if len(names) > 0 {
			key += " " + keys.Digest(rfc9111.Selecting(names, r.Header))
		}
		return key
	}
}

func secure(r *http.Request) bool { return r.TLS != nil || r.URL.Scheme == "https" }

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
