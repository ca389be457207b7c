package httpcache

import (
	"context"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// patience is how long a request waits for another one's response, whose client may be slow to read.
const patience = 5 * time.Second

// miss sends the request to the handler, or lets it wait for one that is there already.
//
// The handler must run in this goroutine, and a flight runs its loader in another one. So a goroutine of this request's
// own enters the flight. It ends when the flight does or when the request doesn't wait any more, and miss doesn't return
// before.
func (c *Cache) miss(x Exchange, r *http.Request, key string, reload bool, why rfc9111.Forward) {
	if r.Context().Value(leading{c}) == key {
		x.Run(new(Recording)) // the same cache, twice around one handler: the outer one records
		return
	}
	t := newTurn(key, reload)
	if !c.crowds.join(t) {
		c.pass(x, why)
		return
	}
	enter := c.store.GetOrLoad
	if reload {
		enter = c.store.Refresh
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var found *response
	landed := make(chan struct{})
	go func() {
		defer close(landed)
		var err error
		if found, err = enter(ctx, key, t.load); err != nil {
			found = nil // Redis is down, the cache is closed...: the handler answers
		}
	}()
	if c.leads(t, landed) {
		defer func() {
			if t.refused {
				cancel() // to remember that is nothing to wait for
			}
			<-landed // that is, until the tiers have the response: see the package's documentation
		}()
		c.lead(x, r, t, why)
		return
	}
	cancel()
	<-landed
	c.crowds.leave(t)
	c.follow(x, r, t, found, why)
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
	}
	return !t.take() // it may have been asked at the same time
}

// lead runs the handler and hands what it recorded to the flight, also when the handler panics.
func (c *Cache) lead(x Exchange, r *http.Request, t *turn, why rfc9111.Forward) {
	rec := &Recording{
		status:  rfc9111.Status{Cache: c.options.Name, Forward: why},
		cache:   c,
		request: r,
		turn:    t,
		began:   time.Now(),
	}
	defer rec.Drop()
	x.Run(rec)
	rec.end()
}

// follow answers with what the flight brought, if it brought something. A request that wants a new response doesn't take
// one that was begun before it came.
func (c *Cache) follow(x Exchange, r *http.Request, t *turn, found *response, why rfc9111.Forward) {
	if found == nil || t.reload {
		c.pass(x, why)
		return
	}
	// A flight may also find what was stored some time ago. Only the store knows when.
	e, err := c.store.Lookup(r.Context(), t.key)
	if err != nil {
		if c.options.Redis != nil {
			c.pass(x, why)
			return
		}
		e = tiered.Entry[*response]{Value: found} // made just now, and not kept
	}
	if !e.Value.fresh(e.Age) {
		c.pass(x, why)
		return
	}
	c.stats.collapsed.Add(1)
	x.Serve(c.reply(r, e.Value, e.Value.Age+e.Age, rfc9111.Status{Cache: c.options.Name, Forward: why, Collapsed: true}))
}
