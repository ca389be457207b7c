package httpcache

import (
	"context"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// change is a run of the handler that may invalidate stored responses: a request with an unsafe method (RFC 9111 §4.4).
type change struct {
	cache   *Cache
	request *http.Request
	stores  bool // its response is stored
	private bool // for one user
}

// apply removes the responses that a response with this head invalidates. It is called before the head is sent, so that a client
// that has seen it doesn't get what was stored before.
func (ch *change) apply(status int, header http.Header) {
	if status < 200 || status >= 400 {
		return
	}
	r := ch.request
	if !ch.stores {
		ch.invalidate(r)
	}
	for _, u := range rfc9111.Invalidated(askedURL(r), r.Host, status, header) {
		u.Scheme = r.URL.Scheme // it is part of the key
		other := r.WithContext(r.Context())
		other.URL, other.RequestURI = u, u.RequestURI()
		ch.invalidate(other)
	}
	if lines := header["Cache-Group-Invalidation"]; len(lines) > 0 {
		ch.invalidateGroups(lines)
	}
}

// invalidate removes the responses for the request's URL. That is queued if Redis doesn't answer.
func (ch *change) invalidate(r *http.Request) {
	_ = ch.cache.Purge(context.WithoutCancel(r.Context()), r)
}

// invalidateGroups removes the responses in one of the groups (RFC 9875 §3). If there are more groups than a response may have, it
// removes none.
func (ch *change) invalidateGroups(lines []string) {
	groups, _ := rfc9111.Groups(lines)
	_ = ch.cache.store.InvalidateTags(context.WithoutCancel(ch.request.Context()), groupTags(ch.request, groups)...)
}

// storable reports whether the response says that it is the response to a GET, how long it is fresh, and that it is shared.
func (ch *change) storable(status int, header http.Header) bool {
	r := ch.request
	if status != http.StatusOK || len(header["Vary"]) > 0 || !rfc9111.Represents(r.URL, r.Host, header) {
		return false
	}
	stored, _ := ch.cache.storable(&missRequest{request: r, candidate: candidate{private: ch.private}}, status, header, time.Now())
	return stored != nil && stored.Flags&explicit != 0 && stored.freshFor(0) > 0
}
