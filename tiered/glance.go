package tiered

import (
	"context"
	"time"
)

// A glance is a flight's first look into the tiers, by the caller that began it. What Redis has is served without a trip,
// whose goroutine and context cost more than the read. A glance waits for nothing but its one read, and for that no longer than the
// caller would: whatever else it takes is left to the trip, and so is a read that isn't done.

// glance answers whether the flight has landed. If it hasn't, the trip goes on with the read that was begun; nil: none.
func (c *Cache[T]) glance(ctx context.Context, f *flight[T], load Loader[T]) (given *reading, landed bool) {
	if c.remote == nil || c.backlog.waiting() > 0 || c.remote.redis.clock.sample.Load() == nil {
		return nil, false
	}
	e := c.tags.era.Load()
	if e == nil || !e.proof.Load().holds(now()) {
		return nil, false
	}
	over := false
	defer func() {
		if !over { // a codec, Cost or Clone has panicked, or ended the goroutine
			c.crashed(f, recover())
			given, landed = nil, true
		}
	}()
	if r := c.inside(f); r != nil {
		c.glimpsed(ctx, f, r, load)
		over = true
		return nil, true
	}
	if given = c.remote.begin(ctx, f.hold); given != nil && c.patiently(ctx, given) {
		if r := c.recognize(ctx, f, given); r != nil {
			c.stats.remoteHits.Add(1)
			c.glimpsed(ctx, f, r, load)
			over = true
			return nil, true
		}
	}
	over = true
	return given, false
}

// patiently waits for the answer, but no longer than the caller would before it takes something else.
func (c *Cache[T]) patiently(ctx context.Context, rd *reading) bool {
	var late <-chan time.Time
	if soft := c.policy.SoftTimeout; soft > 0 {
		timer := time.NewTimer(soft)
		defer timer.Stop()
		late = timer.C
	}
	return rd.arrives(ctx, late)
}

// recognize makes a record of what was read and puts it into the local tier, if it can be served and nobody else has to be asked.
func (c *Cache[T]) recognize(ctx context.Context, f *flight[T], given *reading) *record[T] {
	fd := finding[T]{answer: given.answer}
	if fd.err != nil || c.backlog.hidesAll() {
		return nil
	}
	data, _ := fd.bytes()
	if !isFrame(data) || c.remote.decode(ctx, &fd, data, c.policy) != nil {
		return nil
	}
	b, ok := c.tags.bindKnown(&fd.record.marks)
	if !ok || fd.use(&c.policy) < outdated {
		return nil
	}
	b.proof, b.stream = fd.proof, fd.stream
	fd.bonds = &b
	c.fill(f.hold, fd)
	return fd.record
}

// glimpsed lands a flight with what was found, and has that replaced in the background if that is due.
func (c *Cache[T]) glimpsed(ctx context.Context, f *flight[T], r *record[T], load Loader[T]) {
	renews := r.use(&c.policy, now()) < good
	c.serves(ctx, f.key, r, nil)
	c.land(f, r, nil)
	if renews {
		c.renew(ctx, []hold[T]{{key: f.key, hash: f.hash}}, c.loading(load))
	}
}

// crashed ends a flight as a trip would.
func (c *Cache[T]) crashed(f *flight[T], thrown any) {
	c.stats.loadErrors.Add(1)
	c.guards.leave(f)
	f.crash(newCrash(thrown))
}
