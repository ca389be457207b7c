package httpcache

import (
	"context"
	"errors"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

const (
	// maxWait is how long a request waits for another one's response.
	maxWait = 5 * time.Second
	// maxClientWait is the same for a client, which limits it by its context: as long as a load may take.
	maxClientWait = 30 * time.Second
)

// miss runs the handler for the request, or lets it wait for a request that does.
//
// The handler must run in this goroutine, but a flight runs its loader in another one. So this request starts a goroutine that
// joins the flight. It ends when the flight ends, or when the request stops waiting, and miss doesn't return
// before.
func (c *Cache) miss(x Exchange, m *missRequest) {
	p := newParticipant(m)
	if !c.join(p, c.options.Collapse(m.request)) {
		c.pass(x, m.forward)
		return
	}
	c.joinFlight(x, p)
}

// joinFlight is miss for a participant that has joined its group.
func (c *Cache) joinFlight(x Exchange, p *participant) {
	ctx, cancel, release := borrowContext(p.request.Context())
	defer release()
	result, landed := c.startFlight(ctx, p)
	if c.waitToLead(x, p, landed) {
		defer func() {
			if p.unstorable {
				cancel() // storing the hit-for-miss needn't be waited for
			}
			<-landed // until the tiers have the response: see the package's documentation
		}()
		c.lead(x, c.record(p))
		return
	}
	cancel()
	<-landed
	c.groups.leave(p.group, p.reload)
	c.follow(x, p, result)
}

// flightResult is the result of a flight: a response, or the error of the run, or neither.
type flightResult struct {
	response *response
	err      error
}

// startFlight starts a goroutine that joins the flight of the participant's key. The result may be read when landed is closed.
func (c *Cache) startFlight(ctx context.Context, p *participant) (result *flightResult, landed <-chan struct{}) {
	enter := c.store.GetOrLoad
	if p.reload {
		enter = c.store.Refresh
	}
	result = new(flightResult)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := enter(ctx, p.flightKey, c.load(p))
		var failed *runError
		switch {
		case err == nil:
			result.response = r
		case errors.As(err, &failed):
			result.err = failed.error
		} // after another error (Redis is down, the cache is closed...) the handler answers
	}()
	return result, done
}

// load returns the flight's loader, which waits for the response that the leader records.
func (c *Cache) load(p *participant) tiered.Loader[*response] {
	return func(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
		var o outcome
		if p.claim() {
			close(p.lead)
			select {
			case o = <-p.outcome:
			case <-ctx.Done(): // followers needn't wait any longer
				p.abandoned.Store(true)
				return nil, ctx.Err()
			}
		}
		return c.loadResult(ctx, p.missRequest, e, o)
	}
}

// waitToLead waits until the request must lead, or has nothing to wait for any more.
func (c *Cache) waitToLead(x Exchange, p *participant, landed <-chan struct{}) bool {
	limit := maxWait
	if isClient(x) {
		limit = maxClientWait
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-p.lead:
	case <-landed:
	case <-p.group.streams:
	case <-late.C:
		c.groups.stream(p.group) // later requests would wait in vain, too
	}
	return !p.claim() // the loader may have claimed it at the same time
}

// follow answers with the flight's result, if there is one. A request for a new response doesn't accept
// one that was begun before the request arrived.
func (c *Cache) follow(x Exchange, p *participant, result *flightResult) {
	m, found := p.missRequest, result.response
	if client, ok := x.(clientExchange); ok && result.err != nil && !m.reload {
		client.deliver(nil, result.err)
		return
	}
	if found == nil || m.reload {
		c.pass(x, m.forward)
		return
	}
	// A flight may also return a response that was stored some time ago. Only the store knows when.
	cand := candidate{primary: m.primary, private: m.private}
	view := requestView{x: x, ctx: m.request.Context(), r: m.request, complete: true, relevant: rfc9111.RelevantOf(m.request.Header)}
	c.lookup(&cand, &view)
	if cand.found == nil && !cand.rejected && c.options.Redis == nil && found != m.found && found.Index == nil && found.Select == "" && !m.needsShared(m.request) {
		if ok, _ := view.around(m.private).allows(found); ok {
			cand.found, cand.age, cand.residentTime = found, found.Age, 0 // it was made just now, and isn't in the store
		}
	}
	decision := rfc9111.Validate
	if cand.found != nil {
		decision = cand.decide(m.directives)
	}
	status := rfc9111.Status{Cache: c.options.Name, Forward: m.forward, Collapsed: true}
	switch {
	case decision == rfc9111.Serve, decision == rfc9111.ServeAndRefresh:
	case cand.found != nil && cand.residentTime < time.Since(p.arrived): // it was validated for a concurrent request
	case cand.key != m.key && !m.retried && !cand.forbidden: // the responses vary, or have a new index
		next := *m
		next.candidate, next.flightKey, next.retried, next.mayServeStale = cand, cand.key, true, decision == rfc9111.ValidateOrStale
		c.miss(x, &next)
		return
	case cand.found == nil:
		c.pass(x, m.forward)
		return
	case decision == rfc9111.ValidateOrStale: // the handler failed just now
		status = rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: cand.freshFor()}
	default:
		c.pass(x, m.forward)
		return
	}
	c.stats.collapsed.Add(1)
	x.Serve(c.reply(m.request, cand.found.mergedWith(x.Around), cand.age, status))
}
