package tiered

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A lookup is the first look into the tiers for some flights, by the caller that began them. What is there is served without a
// job, whose goroutine and context cost more than the read. A lookup waits for nothing but its one read, and for that no longer than the
// caller would, and for room in the local tier's write buffer: whatever else it takes is left to the job, and so is a read that isn't done.

// lookup is one of them.
type lookup[T any] struct {
	cache  *Cache[T]
	ctx    context.Context
	found  []sighting[T] // in Redis, and not finished yet
	since  mono.Instant  // when the first of them was recognized
	rest   []*flight[T]  // for the job
	renews []keyRef[T]   // keys whose values are to be replaced
}

type sighting[T any] struct {
	flight *flight[T]
	item   *local.Item[T]
}

// landEvery is for how long what is found is gathered before it is finished: ristretto and the write buffer, whose goroutines
// each item wakes, have less work with many at once. Who waits for the first doesn't wait for all if they take long to decode.
const landEvery = time.Millisecond

// lookup finishes what the tiers have, and returns the other flights, which may have a read begun that the job goes on with,
// and the keys whose values are to be replaced.
func (c *Cache[T]) lookup(ctx context.Context, flights []*flight[T]) (rest []*flight[T], renews []keyRef[T]) {
	began := c.tags.own.Load()
	for _, f := range flights {
		f.began = began
	}
	if !c.glances(flights) {
		return append(rest, flights...), nil
	}
	g := lookup[T]{cache: c, ctx: ctx}
	over := false
	defer func() {
		if !over { // a hook of the client has panicked, or something has ended the goroutine
			thrown := recover()
			g.land()
			c.crashed(flights, thrown)
			rest = nil
		}
	}()
	outside := g.lookInside(flights)
	c.remote.begin(ctx, outside)
	if c.life.Over() {
		c.remote.abandon() // Close may have done so just before
	}
	g.lookOutside(outside)
	g.land()
	over = true
	return g.rest, g.renews
}

// lookInside finishes what the local tier has, and returns the other flights.
func (g *lookup[T]) lookInside(flights []*flight[T]) (outside []*flight[T]) {
	outside = flights
	for i, f := range flights {
		var r *record.Record[T]
		if !f.apart {
			r = g.cache.inside(f, f.start)
		}
		switch {
		case r != nil:
			if len(outside) == len(flights) {
				outside = append([]*flight[T](nil), flights[:i]...)
			}
			g.serve(f, r, f.start)
			g.cache.finishFlight(f, r, nil)
		case len(outside) < len(flights):
			outside = append(outside, f)
		}
	}
	return outside
}

// lookOutside waits for what was begun to be read.
func (g *lookup[T]) lookOutside(flights []*flight[T]) {
	c := g.cache
	var late <-chan time.Time
	if soft := c.policy.SoftTimeout; soft > 0 {
		timer := time.NewTimer(soft)
		defer timer.Stop()
		late = timer.C
	}
	if len(flights) > 1 {
		g.found = make([]sighting[T], 0, len(flights))
	}
	waits := true
	for _, f := range flights {
		rd := f.given.Read
		if waits && rd != nil && !rd.Received {
			g.land() // what is there doesn't wait for another server
			waits = rd.Await(g.ctx, late)
		}
		if rd == nil || !rd.Received {
			g.rest = append(g.rest, f)
			continue
		}
		c.local.WaitForRoom(f.hash)
		at := mono.Now()
		if at.Since(g.since) >= landEvery {
			g.land()
		}
		it := c.recognize(g.ctx, f, at)
		if it == nil {
			g.rest = append(g.rest, f)
			continue
		}
		f.given = redisconn.Pending{} // which has all that was read with it
		c.stats.remoteHits.Add(1)
		g.serve(f, &it.Record, at)
		if len(flights) == 1 { // there is nothing to gather
			g.bring(f, it, at)
			c.local.Flush()
			return
		}
		if len(g.found) == 0 {
			g.since = at
		}
		g.found = append(g.found, sighting[T]{f, it})
	}
}

// finish finishes what was found.
func (g *lookup[T]) land() {
	if len(g.found) == 0 {
		return
	}
	defer g.cache.local.Flush()
	for len(g.found) > 0 {
		s := g.found[0]
		g.found = g.found[1:]
		g.bring(s.flight, s.item, g.since)
	}
}

// bring finishes one flight. The caller must flush the local tier.
func (g *lookup[T]) bring(f *flight[T], it *local.Item[T], at mono.Instant) {
	g.cache.keys.putReadAndLeave(f, it, at)
	f.finish(&it.Record, nil)
}

// serve adds the key of what was found to those whose values are to be replaced, if it is due.
func (g *lookup[T]) serve(f *flight[T], r *record.Record[T], at mono.Instant) {
	if r.Use(&g.cache.windows, at) < record.Good {
		g.renews = append(g.renews, keyRef[T]{key: f.key, hash: f.hash})
		f.stale = r.Stale(at)
	}
}

// lookups reports whether a lookup can be of use, and needs no other word to Redis.
func (c *Cache[T]) glances(flights []*flight[T]) bool {
	if c.remote == nil || len(flights) > redisconn.MaxBatch || flights[0].why != forRead {
		return false
	}
	e := c.tags.epoch.Load()
	return e != nil && e.Validity.Load().Holds(flights[0].start) && c.queue.waiting() == 0 && c.remote.redis.HasTime()
}

// inside returns what the local tier has to finish the flight with, or has it offered what is there.
func (c *Cache[T]) inside(f *flight[T], at mono.Instant) *record.Record[T] {
	it := c.local.GetStale(f.key, f.hash, at)
	switch {
	case it == nil:
	case f.why == forRead && c.local.InTime(it, at, &c.windows),
		f.why == forBackground && at < it.LocalUntil() && !it.NeedsRefresh(&c.windows, at):
		if !it.Valid(at) {
			c.local.CountUnverified() // Redis has become silent
		}
		return &it.Record
	default:
		f.fallback.make(it, fromLocal)
	}
	return nil
}

// recognize makes an item of what was read, if it can be served at that instant and nobody else has to be asked.
func (c *Cache[T]) recognize(ctx context.Context, f *flight[T], at mono.Instant) *local.Item[T] {
	a := f.given.Reply()
	data, _ := a.Bytes()
	if a.Err != nil || !wire.IsFrame(data) {
		return nil
	}
	fr, err := c.remote.parse(data)
	if err != nil {
		return nil
	}
	it := &local.Item[T]{Key: f.key}
	it.Created, it.FreshUntil = frameTimes(&fr, at, c.remote.redis.TimeAt(ctx, at))
	t := frameTraits(&fr, &c.windows, c.policy.Jitter)
	if !fr.NotFound {
		if t.Cost, err = c.values.decode(fr.Payload, &it.Value); err != nil {
			return nil // the job reports it
		}
	}
	c.local.SetMeta(it, t, c.policy.localUntil(at, it.FreshUntil))
	b, ok := c.tags.bindKnown(&it.Stamp, at)
	if !ok || it.Use(&c.windows, at) < record.WhileRevalidate || c.queue.hidesAll() { // in this order: see invalidate.go
		return nil
	}
	b.Validity, b.Feed = a.Validity, a.Feed
	c.local.SetDeps(it, b)
	return it
}

// crashed ends the flights as a job would.
func (c *Cache[T]) crashed(flights []*flight[T], thrown any) {
	c.stats.loadErrors.Add(1)
	err := panicError(thrown)
	for _, f := range flights {
		if !f.finished() {
			c.keys.leave(f)
			f.finishPanicked(err)
		}
	}
}
