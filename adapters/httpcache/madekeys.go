package httpcache

import (
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
)

// madeKeys remembers the keys of requests that were hits, so that the key of a URL in demand isn't made for each of them. It has a place for
// each hash of a URL and a host, and forgets a key when another one takes its place.
type madeKeys struct {
	seed  maphash.Seed
	slots [1 << 11]atomic.Pointer[madeKey]
}

// madeKey is a key with all that the default key of such a request is made of.
type madeKey struct {
	host, target, path, query string // Host, RequestURI, URL.Path and URL.RawQuery
	secure                    bool
	key                       string
}

const (
	longestMade  = 512 // bytes of strings
	replaceOneIn = 8   // hits whose key isn't remembered: URLs that are seldom requested rarely take another one's place
)

// slot returns the place for the request's key; nil if it can't be remembered, since it is made of more than a madeKey has.
func (m *madeKeys) slot(r *http.Request) *atomic.Pointer[madeKey] {
	u := r.URL
	if m == nil || u.RawPath != "" || u.Opaque != "" || r.Host == "" || r.RequestURI != "" && u.Scheme != "" {
		return nil
	}
	const odd = 0x9E3779B97F4A7C15
	h := maphash.String(m.seed, u.Path)
	h = h*odd + maphash.String(m.seed, u.RawQuery)
	h = h*odd + maphash.String(m.seed, r.Host)
	return &m.slots[h%uint64(len(m.slots))]
}

// isFor reports whether it is the key of the request, for which there is a slot.
func (k *madeKey) isFor(r *http.Request) bool {
	return k != nil && k.path == r.URL.Path && k.query == r.URL.RawQuery && k.host == r.Host && k.target == r.RequestURI && k.secure == secure(r)
}

// remember remembers the key in the request's slot. The strings may be in memory that is used again.
func (m *madeKeys) remember(slot *atomic.Pointer[madeKey], r *http.Request, target, key string) {
	switch {
	case len(r.Host)+len(target)+len(r.URL.Path)+len(r.URL.RawQuery)+len(key) > longestMade, target != "" && !isUnchanged(r.URL, target):
		return
	case slot.Load() != nil && rand.Uint32()%replaceOneIn > 0:
		return
	}
	all := r.Host + target + r.URL.Path + r.URL.RawQuery + key
	cut := func(s string) (own string) {
		own, all = all[:len(s)], all[len(s):]
		return own
	}
	slot.Store(&madeKey{
		host: cut(r.Host), target: cut(target), path: cut(r.URL.Path), query: cut(r.URL.RawQuery), secure: secure(r), key: all,
	})
}
