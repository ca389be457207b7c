package httpcache

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/tiered"
)

// errNotStored says to a refresh that what is stored stays.
var errNotStored = errors.New("httpcache: the response is not stored")

// turn is a request's part in its key's flight. The flight's loader asks it to lead, or the flight ends without asking:
// then another request led, or the response was found.
type turn struct {
	taken    atomic.Bool    // by the first of: the loader, the request that goes its own way
	lead     chan struct{}  // closed by the loader
	response chan *response // from the leader to the loader; nil: it is not stored
}

func newTurn() *turn {
	return &turn{lead: make(chan struct{}), response: make(chan *response, 1)}
}

func (t *turn) take() bool { return t.taken.CompareAndSwap(false, true) }

// load is the flight's loader: it waits for what the leading request records.
func (t *turn) load(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
	var r *response
	if t.take() {
		close(t.lead)
		select {
		case r = <-t.response:
		case <-ctx.Done(): // followers needn't wait any longer
			return nil, ctx.Err()
		}
	}
	if r == nil && e.Found {
		return nil, errNotStored
	}
	e.Policy.TTL = 0
	if r != nil {
		e.Policy.TTL = r.Lifetime - r.Age
	}
	return r, nil
}

// miss sends the request to the handler, or lets it wait for one that is there already.
//
// The handler must run in this goroutine, and a flight runs its loader in another one. So a goroutine of this request's
// own enters the flight. It ends when the flight does or when the request's context does, and miss doesn't return before.
func (c *Cache) miss(x Exchange, r *http.Request, key string, reload bool, why rfc9111.Forward) {
	ctx := r.Context()
	if ctx.Value(leading{c}) == key {
		x.Run(new(Recording)) // the same cache, twice around one handler: the outer one records
		return
	}
	enter := c.store.GetOrLoad
	if reload {
		enter = c.store.Refresh
	}
	t := newTurn()
	landed := make(chan *response, 1)
	go func() {
		found, err := enter(ctx, key, t.load)
		if err != nil {
			found = nil // Redis is down, the cache is closed...: the handler answers
		}
		landed <- found
	}()
	select {
	case <-t.lead:
	case found := <-landed:
		if t.take() {
			c.follow(x, r, found, reload, why)
			return
		}
		landed <- found // asked to lead a flight that ended early
	}
	// The wait for the tiers to have the response: see the package's documentation.
	defer func() { <-landed }()
	c.lead(x, r, t, key, why)
}

// lead runs the handler and hands what it recorded to the flight, also when the handler panics.
func (c *Cache) lead(x Exchange, r *http.Request, t *turn, key string, why rfc9111.Forward) {
	rec := &Recording{
		status:  rfc9111.Status{Cache: c.options.Name, Forward: why},
		cache:   c,
		request: r,
		key:     key,
		began:   time.Now(),
		deliver: func(recorded *response) {
			if recorded != nil {
				c.stats.stored.Add(1)
			}
			t.response <- recorded
		},
	}
	defer rec.Drop()
	x.Run(rec)
	rec.end()
}

// follow answers with what the flight brought, if it brought something. A request that wants a new response doesn't take
// one that was begun before it came.
func (c *Cache) follow(x Exchange, r *http.Request, found *response, reload bool, why rfc9111.Forward) {
	if found == nil || reload {
		c.pass(x, why)
		return
	}
	age := found.apparentAge(time.Now()) // a flight may also find what another process stored, some time ago
	if age >= found.Lifetime {
		c.pass(x, why)
		return
	}
	c.stats.collapsed.Add(1)
	x.Serve(c.reply(r, found, age, rfc9111.Status{Cache: c.options.Name, Forward: why, Collapsed: true}))
}
