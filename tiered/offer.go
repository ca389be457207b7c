package tiered

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// offer is what a flight has in place of its result, for callers whose policy lets them have that: a value past its TTL,
// or one in the local tier that can't be proved to be current while Redis can't be asked.
type offer[T any] struct {
	item atomic.Pointer[item[T]]
	made chan struct{} // closed with the first item
}

// make is called by the flight's trip.
func (o *offer[T]) make(it *item[T]) {
	if o.item.Swap(it) == nil {
		close(o.made)
	}
}

// accepted returns the record that is served under the policy now, if it is good for that use; nil: none.
func (o *offer[T]) accepted(p *Policy, least use) *record[T] {
	it, at := o.item.Load(), now()
	if it == nil || it.dead.Load() || !it.intact() || it.use(p, at) < least || least > fallback && !it.hold(at) {
		return nil
	}
	return &it.record
}

// await returns the flight's result; a record beside an error is that there is none. In its place it returns the flight's
// offer, if the policy lets it, when the load takes longer than SoftTimeout or fails, or is one that nobody needs to wait for.
// It returns the context's error if that ends first, and panics if the loader did.
func (c *Cache[T]) await(ctx context.Context, f *flight[T], why purpose) (r *record[T], offered bool, err error) {
	var late <-chan time.Time
	var made chan struct{}
	least := fallback
	if f.why == renewal && why == asked { // who comes while the local tier lacks what others are served meanwhile is served it too
		least, made = outdated, f.offer.made
	}
	if soft := c.policy.SoftTimeout; soft > 0 && why != refreshed && !f.landed() {
		timer := time.NewTimer(soft - now().since(f.start))
		defer timer.Stop()
		late = timer.C
	}
	for !f.landed() {
		select {
		case <-f.done:
			continue
		case <-ctx.Done():
			if !f.landed() {
				return nil, false, fmt.Errorf("tiered: waiting for a load: %w", ctx.Err())
			}
			continue
		case <-late:
			late, least, made = nil, fallback, f.offer.made
		case <-made:
			made = nil
		}
		if r := f.offer.accepted(&c.policy, least); r != nil {
			c.serves(ctx, f.key, r, nil)
			return r, true, nil
		}
	}
	if f.panic != nil {
		panic(f.panic)
	}
	if f.record != nil || f.why == refreshed || errors.Is(f.err, ErrClosed) {
		return f.record, false, f.err
	}
	if r := f.offer.accepted(&c.policy, fallback); r != nil {
		c.serves(ctx, f.key, r, f.err)
		return r, true, nil
	}
	return nil, false, f.err
}

// serves counts a value that is served past its TTL.
func (c *Cache[T]) serves(ctx context.Context, key string, r *record[T], cause error) {
	if r.state(now()) != Stale {
		return
	}
	c.stats.stale.Add(1)
	if c.trace != nil && c.trace.StaleServed != nil {
		c.trace.StaleServed(ctx, key, cause)
	}
}
