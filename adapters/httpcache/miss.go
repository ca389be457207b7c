package httpcache

import (
	"context"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// patience is how long a request waits for another one's response, whose client may be slow to read.
const patience = 5 * time.Second

// miss sends the request to the handler, or lets it wait for one that is there already.
//
// The handler must run in this goroutine, and a flight runs its loader in another one. So a goroutine of this request's
// own enters the flight. It ends when the flight does or when the request doesn't wait any more, and miss doesn't return
// before.
func (c *Cache) miss(x Exchange, w *want) {
	t := newTurn(w)
	if !c.crowds.join(t, c.options.Collapse(w.request)) {
		c.pass(x, w.why)
		return
	}
	c.fly(x, t)
}

// fly is miss for a turn that has joined its crowd.
func (c *Cache) fly(x Exchange, t *turn) {
	ctx, cancel, release := borrow(t.request.Context())
	defer release()
	found, landed := c.enter(ctx, t)
	if c.leads(t, landed) {
		defer func() {
			if t.refused {
				cancel() // to remember that is nothing to wait for
			}
			<-landed // that is, until the tiers have the response: see the package's documentation
		}()
		c.lead(x, c.record(t))
		return
	}
	cancel()
	<-landed
	c.crowds.leave(t)
	c.follow(x, t, *found)
}

// enter has a goroutine enter the flight of the turn's key. When landed is closed, found is what it brought.
func (c *Cache) enter(ctx context.Context, t *turn) (found **response, landed <-chan struct{}) {
	enter := c.store.GetOrLoad
	if t.reload {
		enter = c.store.Refresh
	}
	found = new(*response)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := enter(ctx, t.at, c.load(t))
		if err == nil { // else Redis is down, the cache is closed...: the handler answers
			*found = r
		}
	}()
	return found, done
}

// leads waits until the request is asked to lead, or has nothing more to wait for.
func (c *Cache) leads(t *turn, landed <-chan struct{}) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-t.lead:
	case <-landed:
	case <-t.crowd.streams:
	case <-late.C:
		c.crowds.stream(t) // those who come now wait in vain, too
	}
	return !t.take() // it may have been asked at the same time
}

// lead runs the handler and delivers what was recorded to the load that waits for it, also when the handler panics.
func (c *Cache) lead(x Exchange, rec *Recording) {
	defer rec.Drop()
	x.Run(rec)
	rec.end()
	if rec.reply != nil {
		x.Serve(rec.reply)
	}
}

// follow answers with what the flight brought, if it brought something. A request that wants a new response doesn't take
// one that was begun before it came.
func (c *Cache) follow(x Exchange, t *turn, found *response) {
	w := t.want
	if found == nil || w.reload {
		c.pass(x, w.why)
		return
	}
	// A flight may also find what was stored some time ago. Only the store knows when.
	p := place{primary: w.primary, private: w.private}
	q := inquiry{x: x, ctx: w.request.Context(), r: w.request, whole: true, heeds: rfc9111.HeedsOf(w.request.Header)}
	c.find(&p, &q)
	if p.found == nil && !p.rejected && c.options.Redis == nil && found != w.found && found.Index == nil && found.Select == "" && !w.barred(w.request) {
		if ok, _ := q.around(w.private).admits(found); ok {
			p.found, p.age, p.since = found, found.Age, 0 // made just now, and not kept
		}
	}
	decision := rfc9111.Validate
	if p.found != nil {
		decision = p.decide(w.directives)
	}
	status := rfc9111.Status{Cache: c.options.Name, Forward: w.why, Collapsed: true}
	switch {
	case decision == rfc9111.Serve, decision == rfc9111.ServeAndRefresh:
	case p.found != nil && p.since < time.Since(t.arrived): // it was validated for a request that came with this one
	case p.key != w.key && !w.again && !p.forbidden: // the responses turned out to vary, or have a new index
		next := *w
		next.place, next.at, next.again, next.stale = p, p.key, true, decision == rfc9111.ValidateOrStale
		c.miss(x, &next)
		return
	case p.found == nil:
		c.pass(x, w.why)
		return
	case decision == rfc9111.ValidateOrStale: // the handler failed just now
		status = rfc9111.Status{Cache: c.options.Name, Hit: true, TTL: p.left()}
	default:
		c.pass(x, w.why)
		return
	}
	c.stats.collapsed.Add(1)
	x.Serve(c.reply(w.request, p.found.among(x.Around), p.age, status))
}

// conditional answers whether the client says what it has already.
func conditional(r *http.Request) bool {
	return len(r.Header["If-None-Match"]) > 0 || len(r.Header["If-Modified-Since"]) > 0
}
