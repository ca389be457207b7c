package tiered

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// fallback is what a flight has in place of its result, for callers whose policy lets them have that: a value past its TTL,
// or one in the local tier that can't be proved to be current while Redis can't be asked.
type fallback[T any] struct {
	last atomic.Pointer[fallbackEntry[T]]
	made latch // with the first
}

type fallbackEntry[T any] struct {
	*local.Item[T]
	origin fallbackSource
}

// fallbackSource is where the flight has what it fallbacks.
type fallbackSource uint8

const (
	fromLocal      fallbackSource = iota // it was proved, or Redis silent
	fromRemote                           // it was read there just now
	fromUnverified                       // from the local tier, since Redis couldn't be read
)

// make is called by the flight's job.
func (o *fallback[T]) make(it *local.Item[T], from fallbackSource) {
	if o.last.Swap(&fallbackEntry[T]{it, from}) == nil {
		o.made.done()
	}
}

// fallbackOf returns the fallback that is served under the policy now in place of the flight's result, if it is good for that
// use; nil: none. The flight may have begun long ago: what was proved then need not be now. Nor what Redis had, of which only a
// stale value is served, since the policy says so. It doesn't matter that the local tier has dropped the item: Redis may only
// have told late of the write that made it, and who comes after a change of the key doesn't join the flight.
func (c *Cache[T]) fallbackOf(f *flight[T], least record.Use) *fallbackEntry[T] {
	o, at := f.fallback.last.Load(), mono.Now()
	if o == nil {
		return nil
	}
	if !o.Intact() {
		older := o
		if o = c.sinceExpiry(o); o == nil {
			return nil
		}
		f.fallback.last.CompareAndSwap(older, o)
	}
	if !o.Intact() || o.Use(&c.windows, at) < least {
		return nil
	}
	if o.Valid(at) {
		return o
	}
	silent := o.Feed != nil && o.Feed.Unreachable.Load()
	switch {
	case least > record.IfError:
		return nil
	case o.origin == fromRemote && o.Stale(at), !c.local.Strict() && (o.origin == fromUnverified || silent):
		return o
	}
	return nil
}

// sinceExpiry returns what is left of an fallback whose tags or epoch were invalidated, for all that is known: if they were expired a
// stale value, or all of it where Redis has only told late of what was there before; nil: nothing.
func (c *Cache[T]) sinceExpiry(o *fallbackEntry[T]) *fallbackEntry[T] {
	if c.remote == nil {
		return &fallbackEntry[T]{c.local.AfterExpiry(o.Item), o.origin}
	}
	m := *o.Meta
	bound, errs := c.tags.bind(c.base, []*record.Meta{&m})
	if bound[0] == nil || errs[0] != nil || c.queue.hidesAll() {
		return nil
	}
	deps := bound[0]
	deps.Validity, deps.Feed = o.Validity, o.Feed
	if m.Expired {
		return &fallbackEntry[T]{c.local.StaleCopy(o.Item, deps), o.origin}
	}
	return &fallbackEntry[T]{o.WithDeps(deps), o.origin}
}

// haveFallbacks reports whether each of the tasks has an fallback that is served in place of its result when the load is overdue.
func (c *Cache[T]) haveFallbacks(claims []*task[T]) bool {
	for _, cl := range claims {
		if c.fallbackOf(cl.flight, record.IfError) == nil {
			return false
		}
	}
	return true
}

// await returns the flight's result; a record beside an error is that there is none. In its place it returns the flight's
// fallback, if the policy lets it, when the load takes longer than SoftTimeout or fails, or is one that nobody needs to wait for.
// It returns the context's error if that ends first. If the loader panicked it panics too, or takes that for a failure.
func (c *Cache[T]) await(ctx context.Context, f *flight[T], why reason, panics bool) (r *record.Record[T], offered bool, err error) {
	var late <-chan time.Time
	var made <-chan struct{}
	least := record.IfError
	if f.why == forBackground && why == forRead { // who comes while the local tier lacks what others are served meanwhile is served it too
		least, made = record.WhileRevalidate, f.fallback.made.channelOf()
	}
	if soft := c.policy.SoftTimeout; soft > 0 && why != forRefresh && !f.finished() {
		timer := time.NewTimer(soft - mono.Now().Since(f.start))
		defer timer.Stop()
		late = timer.C
	}
	for !f.finished() {
		select {
		case <-f.done.channelOf():
			continue
		case <-ctx.Done():
			if !f.finished() {
				return nil, false, fmt.Errorf("tiered: waiting for a load: %w", ctx.Err())
			}
			continue
		case <-late:
			late, least, made = nil, record.IfError, f.fallback.made.channelOf()
		case <-made:
			made = nil
		}
		if o := c.fallbackOf(f, least); o != nil {
			return c.accept(ctx, o, nil), true, nil
		}
	}
	if f.panic != nil && panics {
		panic(f.panic)
	}
	if f.record != nil || f.why == forRefresh || errors.Is(f.err, ErrClosed) {
		return f.record, false, f.err
	}
	if o := c.fallbackOf(f, record.IfError); o != nil {
		return c.accept(ctx, o, f.err), true, nil
	}
	return nil, false, f.err
}

// accept counts what is served in place of a flight's result.
func (c *Cache[T]) accept(ctx context.Context, o *fallbackEntry[T], cause error) *record.Record[T] {
	if o.origin != fromRemote && !o.Valid(mono.Now()) {
		c.local.CountUnverified()
	}
	c.serves(ctx, o.Key, &o.Record, cause)
	return &o.Record
}

// giveResult gives a caller what it awaited, and tells if that is stale. What was offered is told of as it is accepted.
func (c *Cache[T]) giveResult(ctx context.Context, f *flight[T], r *record.Record[T], offered bool) (T, error) {
	if !offered && f.stale { // in this order: with an fallback it may not have finished
		c.serves(ctx, f.key, r, nil)
	}
	return c.give(r)
}

// serves counts a value that is served past its TTL. What is told of it may ask for other keys, so it is called where no flight
// waits for the goroutine to finish it.
func (c *Cache[T]) serves(ctx context.Context, key string, r *record.Record[T], cause error) {
	if !r.Stale(mono.Now()) {
		return
	}
	c.stats.stale.Add(1)
	if c.trace != nil && c.trace.StaleServed != nil {
		c.trace.StaleServed(ctx, key, cause)
	}
}
