package httpcache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// errNotStored says to a refresh that what is stored stays.
var errNotStored = errors.New("httpcache: the response is not stored")

// refusedTTL is how long it is remembered that a key's response can't be stored.
const refusedTTL = 5 * time.Second

// turn is a request's part in its key's flight. The flight's loader asks it to lead, or the flight ends without asking:
// then another request led, or the response was found.
type turn struct {
	key    string
	reload bool // wants a new response
	crowd  *crowd

	taken   atomic.Bool   // by the first of: the loader, the request that goes its own way
	lead    chan struct{} // closed by the loader
	outcome chan outcome  // from the leader to the loader
	over    atomic.Bool   // the loader didn't wait for the outcome
	refused bool          // the outcome's; for the leader
}

// outcome is what a leader's run came to: a response, or none. refused: not by accident, the next one won't be stored
// either.
type outcome struct {
	response *response
	refused  bool
}

func newTurn(key string, reload bool) *turn {
	return &turn{key: key, reload: reload, lead: make(chan struct{}), outcome: make(chan outcome, 1)}
}

func (t *turn) take() bool { return t.taken.CompareAndSwap(false, true) }

// load is the flight's loader: it waits for what the leading request records.
func (t *turn) load(ctx context.Context, e *tiered.Entry[*response]) (*response, error) {
	var o outcome
	if t.take() {
		close(t.lead)
		select {
		case o = <-t.outcome:
		case <-ctx.Done(): // followers needn't wait any longer
			t.over.Store(true)
			return nil, ctx.Err()
		}
	}
	switch {
	case o.response != nil:
		e.Policy.TTL = o.response.Lifetime - o.response.Age
		return o.response, nil
	case e.State == tiered.Fresh || e.State == tiered.NotFound:
		return nil, errNotStored
	case o.refused:
		e.Policy.NotFoundTTL = refusedTTL
		return nil, tiered.ErrNotFound
	}
	e.Policy.TTL = 0
	return nil, nil
}

// deliver hands the leader's outcome to the loader.
func (c *Cache) deliver(t *turn, o outcome) {
	if o.response != nil && !t.over.Load() {
		c.stats.stored.Add(1)
	}
	t.refused = o.refused
	t.outcome <- o
	c.crowds.leave(t)
}
