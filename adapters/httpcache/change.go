package httpcache

import (
	"context"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// change is a run of the handler that may change what is stored: a request with an unsafe method (RFC 9111 §4.4).
type change struct {
	cache   *Cache
	request *http.Request
	stores  bool // its response becomes what is stored
}

// change runs the handler for a request that is no GET or HEAD.
func (c *Cache) change(x Exchange, r *http.Request) {
	rec := &Recording{status: rfc9111.Status{Cache: c.options.Name, Forward: rfc9111.ForMethod}}
	if rfc9111.Safe(r.Method) {
		x.Run(rec)
		return
	}
	rec.change = &change{cache: c, request: r}
	if !c.options.StorePosts || r.Method != http.MethodPost || !c.changeAndStore(x, rec.change) {
		x.Run(rec)
	}
}

// changeAndStore is change for a request whose response may be one to later GETs, too. Its load begins before the handler
// runs: what somebody changes meanwhile voids it. If another load is under way it does nothing, and answers false.
func (c *Cache) changeAndStore(x Exchange, ch *change) bool {
	primary, private := c.primary(ch.request)
	if primary == "" {
		return false
	}
	p := newParticipant(&missRequest{
		candidate: candidate{primary: primary, private: private, key: primary}, flightKey: primary, request: ch.request, forward: rfc9111.ForMethod, reload: true,
	})
	if !c.groups.join(p, false) {
		return false
	}
	ctx, cancel, release := borrowContext(ch.request.Context())
	defer release()
	_, landed := c.startFlight(ctx, p)
	if !c.waitToLead(p, landed) {
		cancel()
		<-landed
		c.groups.leave(p)
		return false
	}
	defer func() {
		<-landed
		if ch.stores && !p.stored {
			ch.invalidate(ch.request) // it broke off
		}
	}()
	rec := c.record(p)
	rec.change, rec.holds = ch, false
	defer rec.Drop()
	x.Run(rec)
	rec.end()
	return true
}

// head is called before the head goes out, so that who has seen it doesn't get what was stored before.
func (ch *change) head(rec *Recording, status int, header http.Header) {
	ch.stores = rec.participant != nil && ch.storable(status, header)
	if !ch.stores {
		rec.Drop()
	}
	if status < 200 || status >= 400 {
		return
	}
	r := ch.request
	if !ch.stores {
		ch.invalidate(r)
	}
	for _, u := range rfc9111.Invalidated(askedURL(r), r.Host, status, header) {
		u.Scheme = r.URL.Scheme // which is a part of the key
		other := r.WithContext(r.Context())
		other.URL, other.RequestURI = u, u.RequestURI()
		ch.invalidate(other)
	}
	if lines := header["Cache-Group-Invalidation"]; len(lines) > 0 {
		ch.invalidateGroups(lines)
	}
}

// invalidate removes what is stored for the request's URL. It is queued if Redis doesn't answer.
func (ch *change) invalidate(r *http.Request) {
	_ = ch.cache.Purge(context.WithoutCancel(r.Context()), r)
}

// invalidateGroups removes what has one of the groups (RFC 9875 §3). Of more groups than a response may have, none is removed.
func (ch *change) invalidateGroups(lines []string) {
	groups, _ := rfc9111.Groups(lines)
	_ = ch.cache.store.InvalidateTags(context.WithoutCancel(ch.request.Context()), groupTags(ch.request, groups)...)
}

// storable reports whether the response says that it is what a GET would bring, for how long, and for everybody.
func (ch *change) storable(status int, header http.Header) bool {
	r := ch.request
	if status != http.StatusOK || len(header["Vary"]) > 0 || !rfc9111.Represents(r.URL, r.Host, header) {
		return false
	}
	stored, _ := ch.cache.storable(&missRequest{request: r}, status, header, time.Now())
	return stored != nil && stored.Flags&explicit != 0 && stored.freshFor(0) > 0
}
