package tiered

import (
	"context"
	"time"
)

// A glance is the first look into the tiers for some flights, by the caller that began them. What is there is served without a
// trip, whose goroutine and context cost more than the read. A glance waits for nothing but its one read, and for that no longer than the
// caller would: whatever else it takes is left to the trip, and so is a read that isn't done.

// glance lands what the tiers have, and returns the other flights, which may have a read begun that the trip goes on with,
// and the keys whose values are to be replaced.
func (c *Cache[T]) glance(ctx context.Context, flights []*flight[T]) (rest []*flight[T], renews []hold[T]) {
	began := c.tags.own.Load()
	for _, f := range flights {
		f.began = began
	}
	if !c.glances(flights) {
		return append(rest, flights...), nil
	}
	over := false
	defer func() {
		c.local.nursery.ring()
		if !over { // a codec, Cost or Clone has panicked, or ended the goroutine
			c.crashed(flights, recover())
			rest = nil
		}
	}()
	outside := flights
	for i, f := range flights {
		var r *record[T]
		if !f.apart {
			r = c.inside(f)
		}
		if r != nil {
			renews = c.glimpsed(ctx, f, r, now(), renews)
			c.land(f, r, nil)
			if len(outside) == len(flights) {
				outside = append([]*flight[T](nil), flights[:i]...)
			}
		} else if len(outside) < len(flights) {
			outside = append(outside, f)
		}
	}
	c.remote.begin(ctx, outside)
	var late <-chan time.Time
	if soft := c.policy.SoftTimeout; soft > 0 {
		timer := time.NewTimer(soft)
		defer timer.Stop()
		late = timer.C
	}
	waits := true
	for _, f := range outside {
		waits = waits && f.given.reading != nil && f.given.arrives(ctx, late)
		var it *item[T]
		var at instant
		if waits {
			c.local.nursery.waitForRoom(f.hash)
			at = now()
			it = c.recognize(ctx, f, at)
		}
		if it == nil {
			rest = append(rest, f)
			continue
		}
		c.stats.remoteHits.Add(1)
		renews = c.glimpsed(ctx, f, &it.record, at, renews)
		c.guards.deliver(f, it)
		f.land(&it.record, nil)
	}
	over = true
	return rest, renews
}

// glances answers whether a glance can be of use, and needs no other word to Redis.
func (c *Cache[T]) glances(flights []*flight[T]) bool {
	if c.remote == nil || len(flights) > maxConvoy || flights[0].why != asked {
		return false
	}
	e := c.tags.era.Load()
	return e != nil && e.proof.Load().holds(now()) && c.backlog.waiting() == 0 && c.remote.redis.clock.sample.Load() != nil
}

// inside returns what the local tier has to land the flight with, or has it offered what is there.
func (c *Cache[T]) inside(f *flight[T]) *record[T] {
	at := now()
	it := c.local.find(f.key, f.hash, at, &c.policy, asFallback)
	switch {
	case it == nil:
	case f.why == asked && (at < it.servedUntil() || c.local.lasts(it, at, &c.policy, 0)),
		f.why == renewal && at < it.servedUntil() && !it.renews(&c.policy, at):
		if !it.hold(at) {
			c.local.unverified.Add(1) // Redis has become silent
		}
		return &it.record
	default:
		f.offer.make(it, fromLocal)
	}
	return nil
}

// recognize makes an item of what was read, if it can be served at that instant and nobody else has to be asked.
func (c *Cache[T]) recognize(ctx context.Context, f *flight[T], at instant) *item[T] {
	a := f.given.answer()
	data, _ := a.bytes()
	if a.err != nil || !isFrame(data) {
		return nil
	}
	fr, err := c.remote.parse(data)
	if err != nil {
		return nil
	}
	it := &item[T]{key: f.key}
	it.created, it.freshUntil = fr.times(at, c.remote.redis.time(ctx, at))
	if !fr.notFound && c.remote.codec.Unmarshal(fr.payload, &it.value) != nil {
		return nil
	}
	c.local.furnish(it, fr.traits(&c.policy), c.policy.localUntil(at, it.freshUntil))
	b, ok := c.tags.bindKnown(&it.marks, at)
	if !ok || it.use(&c.policy, at) < outdated || c.backlog.hidesAll() { // in this order: see tags.invalidate
		return nil
	}
	b.proof, b.stream = a.proof, a.stream
	c.local.tie(it, b)
	return it
}

// glimpsed counts what was found, and adds its key to those whose values are to be replaced, if it is due.
func (c *Cache[T]) glimpsed(ctx context.Context, f *flight[T], r *record[T], at instant, renews []hold[T]) []hold[T] {
	if r.use(&c.policy, at) < good {
		renews = append(renews, hold[T]{key: f.key, hash: f.hash})
		c.serves(ctx, f.key, r, nil)
	}
	return renews
}

// crashed ends the flights as a trip would.
func (c *Cache[T]) crashed(flights []*flight[T], thrown any) {
	c.stats.loadErrors.Add(1)
	err := newCrash(thrown)
	for _, f := range flights {
		if !f.landed() {
			c.guards.leave(f)
			f.crash(err)
		}
	}
}
