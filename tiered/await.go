package tiered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// This file is the caller's side of a flight. A caller waits for three things at a time: the flight's result, the end of its own
// context, and, if its policy has a SoftTimeout or the flight only refreshes a value, something to serve meanwhile. That is the flight's
// fallback: a value that lookup or job found on the way but that doesn't finish the flight, because it is stale, or because Redis
// can't be asked whether it is still valid. It is checked again when it is served, since flights may take long.

// fallbackOf returns the flight's fallback if the policy now allows at least the given use of it, else nil. The flight may have
// begun long ago, so the item's validity is checked again. An item from Redis that is no longer valid is served only if it is
// stale, as the policy allows. An item that the local tier has dropped can still be served: Redis may have reported the write of
// that very item late, and callers that arrive after a change of the key don't join the flight.
func (c *Cache[T]) fallbackOf(f *flight[T], least record.Use) *inflight.Fallback[T] {
	o, at := f.Fallback(), mono.Now()
	if o == nil {
		return nil
	}
	if !o.Intact() {
		it := c.tiers.Rebind(o.Item)
		if it == nil {
			return nil
		}
		o = f.ReplaceFallback(o, it)
	}
	if !o.Intact() || o.Use(&c.view.Windows, at) < least {
		return nil
	}
	if o.Valid(at) {
		return o
	}
	silent := o.Feed != nil && o.Feed.Unreachable.Load()
	switch {
	case least > record.IfError: // the caller can still wait for the load
		return nil
	case o.Origin == inflight.FromRemote && o.Stale(at): // the policy allows what is older anyway
		return o
	case !c.local.Strict() && (o.Origin == inflight.FromUnverified || silent): // nobody can say whether it was changed
		return o
	}
	return nil
}

// await waits for the flight and returns its result; a record with an error is an absence. If the policy allows it, await returns
// the flight's fallback, and offered is true, when the load takes longer than SoftTimeout or fails, or when it only refreshes the
// value. It returns ctx's error if ctx ends first. If the loader panicked, await panics if panics is set, else returns an error.
//
// Ten thousand calls may wait here, each on a goroutine of its own. So what few of them need is in other functions, and the stack
// of one that only waits stays small.
func (c *Cache[T]) await(ctx context.Context, f *flight[T], why inflight.Reason, panics bool) (r *record.Record[T], offered bool, err error) {
	early := f.Reason == inflight.ForBackground && why == inflight.ForRead // a read that finds nothing locally needn't wait for a refresh
	if early || c.policy.SoftTimeout > 0 && why != inflight.ForRefresh {
		if o := c.awaitFallback(ctx, f, early); o != nil {
			return c.serveFallback(ctx, o, nil), true, nil
		}
	} else {
		f.Wait(ctx)
	}
	if !f.Finished() {
		return nil, false, c.giveUp(ctx, f)
	}
	if f.State.panicked && panics {
		panic(f.Err)
	}
	if f.Record != nil || f.Reason == inflight.ForRefresh || errors.Is(f.Err, ErrClosed) {
		return f.Record, false, f.Err
	}
	if o := c.fallbackOf(f, record.IfError); o != nil {
		return c.serveFallback(ctx, o, f.Err), true, nil
	}
	return nil, false, f.Err
}

// awaitFallback waits for the flight, or for a fallback that is served before the flight's result: after SoftTimeout, or if it is early
// as soon as there is one. It returns nil if the flight finishes first, or ctx ends.
func (c *Cache[T]) awaitFallback(ctx context.Context, f *flight[T], early bool) *inflight.Fallback[T] {
	var late <-chan time.Time
	var made <-chan struct{}
	least := record.IfError
	if early {
		least, made = record.WhileRevalidate, f.Offered()
	}
	if soft := c.policy.SoftTimeout; soft > 0 && !f.Finished() {
		timer := time.NewTimer(soft - mono.Now().Since(f.Start))
		defer timer.Stop()
		late = timer.C
	}
	for !f.Finished() {
		select {
		case <-f.Done():
			continue
		case <-ctx.Done():
			return nil
		case <-late:
			late, least, made = nil, record.IfError, f.Offered()
		case <-made:
			made = nil
		}
		if o := c.fallbackOf(f, least); o != nil {
			return o
		}
	}
	return nil
}

// giveUp says that the call doesn't wait for the flight any longer, and returns its error.
func (c *Cache[T]) giveUp(ctx context.Context, f *flight[T]) error {
	c.keys.GiveUp(f)
	return fmt.Errorf("tiered: waiting for a load: %w", ctx.Err())
}

// awaitJoined is await for a flight that the call has joined. If another call began the flight, the wait is reported to the trace.
func (c *Cache[T]) awaitJoined(ctx context.Context, j *joined[T], why inflight.Reason, panics bool) (r *record.Record[T], offered bool, err error) {
	if j.mine || !c.trace.hasWaits() {
		return c.await(ctx, j.flight, why, panics)
	}
	return c.awaitTraced(ctx, j, why, panics)
}

// awaitTraced is awaitJoined with a trace that is told of the wait.
func (c *Cache[T]) awaitTraced(ctx context.Context, j *joined[T], why inflight.Reason, panics bool) (r *record.Record[T], offered bool, err error) {
	w := c.beginWait(ctx, false, func() []string { return []string{j.Key} })
	returned := false
	defer func() {
		failure := err
		switch {
		case r != nil:
			failure = nil // it was ErrNotFound, if anything
		case !returned && j.Finished():
			failure = j.Err // await panicked with it
		}
		if load := j.State.loadCtx.Load(); load != nil {
			w.info.Load = *load
		}
		w.info.Fallback = offered
		c.endWait(w, failure)
	}()
	r, offered, err = c.await(ctx, j.flight, why, panics)
	returned = true
	return r, offered, err
}

// joined is a flight that a call waits for.
type joined[T any] struct {
	*flight[T]
	at            mono.Instant // when the call joined it, or a moment before
	mine          bool         // the call began it
	late          bool         // it had finished when the call joined it
	invalidations uint64       // how many this process had made when the call began
}

// settles reports whether the call may return what await returned: the record, or the failure if there is none. Otherwise it needs
// another flight. takesFailure says that the failure of another call's flight is the call's too.
func (c *Cache[T]) settles(j *joined[T], r *record.Record[T], offered, takesFailure bool) bool {
	switch {
	case j.late && j.State.unstorable: // a background load's result that can't be stored is only for the calls that waited for it
		return false
	case r != nil: // this process may have invalidated it after the flight began and before the call did
		return offered || (j.State.began >= j.invalidations || len(r.Tags) == 0) && !j.outlived()
	}
	return j.mine || takesFailure || c.life.Closed()
}

// outlived reports whether the flight's value was loaded, or was asked for, so long before the call joined the flight that
// another process's invalidation should have kept the call from joining it. Storing the value may have taken that long, or the
// process was stopped meanwhile.
func (j *joined[T]) outlived() bool {
	return !j.mine && j.State.current != 0 && j.at > j.State.current
}

// currentFrom says of the flight's value that it was current at the instant, or later.
func (c *Cache[T]) currentFrom(at mono.Instant, f *flight[T]) {
	if c.remote != nil {
		f.State.current = at.Add(c.remote.Conn.MaxAge())
	}
}

// serveFallback counts a fallback that is served and returns its record.
func (c *Cache[T]) serveFallback(ctx context.Context, o *inflight.Fallback[T], cause error) *record.Record[T] {
	if o.Origin != inflight.FromRemote && !o.Valid(mono.Now()) {
		c.local.CountUnverified()
	}
	c.noteStale(ctx, o.Key, &o.Record, cause)
	return &o.Record
}

// giveResult returns the awaited value to a caller, and reports it to the trace if it is stale. A fallback was reported by serveFallback.
func (c *Cache[T]) giveResult(ctx context.Context, f *flight[T], r *record.Record[T], offered bool) (T, error) {
	if !offered && f.State.stale { // in this order: with a fallback the flight may be unfinished
		c.noteStale(ctx, f.Key, r, nil)
	}
	return c.valueOf(r)
}

// noteStale counts a value that is served past its TTL, and reports it to the trace. The trace's function may read other keys, so
// noteStale is called only where no flight depends on the calling goroutine.
func (c *Cache[T]) noteStale(ctx context.Context, key string, r *record.Record[T], cause error) {
	if !r.Stale(mono.Now()) {
		return
	}
	c.stats.stale.Add(1)
	if c.trace != nil && c.trace.StaleServed != nil {
		c.trace.StaleServed(ctx, key, cause)
	}
}
