package httpcache

import (
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// change runs the handler for a request other than GET and HEAD.
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

// changeAndStore is change for a request whose response may answer later GETs, too. Its load begins before the handler
// runs, so that another change meanwhile invalidates the result. If another load is running it does nothing, and returns false.
func (c *Cache) changeAndStore(x Exchange, ch *change) bool {
	primary, private := c.keys.primary(ch.request, isClient(x))
	if primary == "" {
		return false
	}
	ch.private = private
	p := newParticipant(&missRequest{
		candidate: candidate{primary: primary, private: private, key: primary}, flightKey: primary, request: ch.request, forward: rfc9111.ForMethod, reload: true,
	})
	if !c.join(p, false) {
		return false
	}
	ctx, cancel, release := borrowContext(ch.request.Context())
	defer release()
	_, landed := c.startFlight(ctx, p)
	if !c.waitToLead(x, p, landed) {
		cancel()
		<-landed
		c.groups.leave(p.group, p.reload)
		return false
	}
	defer func() {
		<-landed
		if ch.stores && !p.stored {
			ch.invalidate(ch.request) // the response is incomplete
		}
	}()
	rec := c.record(p)
	rec.change, rec.holds = ch, false
	defer rec.Drop()
	x.Run(rec)
	rec.end()
	return true
}
