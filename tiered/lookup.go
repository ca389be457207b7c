package tiered

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// A lookup is the first read of both tiers for a set of flights, by the caller that started them. It serves what it finds without
// a job, whose goroutine and context cost more than the read. A lookup waits only for its one read, no longer than its caller
// would, and for room in the local tier's write buffer. A job does all other work, and continues a read that is unfinished.

// lookup is the state of one such read.
type lookup[T any] struct {
	cache *Cache[T]
	ctx   context.Context
	found []foundFlight[T] // found in Redis; the flights haven't finished yet
	since mono.Instant     // when the first of found was decoded
	rest  []*flight[T]     // flights for the job
	due   []keyRef[T]      // keys whose values are due for a refresh
}

// foundFlight is a flight and the item that was read for it from Redis.
type foundFlight[T any] struct {
	flight *flight[T]
	item   *local.Item[T]
	kept   bool // it is put into the local tier elsewhere
}

// finishEvery limits how long found items are collected before their flights finish. Each write wakes goroutines of ristretto and
// of the write buffer, so a batch costs less. The limit keeps callers from waiting while the other values are decoded.
const finishEvery = time.Millisecond

// lookup finishes the flights whose values the tiers have. It returns the other flights, whose started reads the job continues,
// and the keys whose values are due for a refresh.
func (c *Cache[T]) lookup(ctx context.Context, flights []*flight[T]) (rest []*flight[T], due []keyRef[T]) {
	began := c.tags.Invalidations()
	for _, f := range flights {
		f.State.began = began
	}
	if !c.canLookUp(flights) {
		return append(rest, flights...), nil
	}
	g := lookup[T]{cache: c, ctx: ctx}
	over := false
	defer func() {
		if !over { // a hook of the client panicked or called runtime.Goexit
			thrown := recover()
			g.finishFound()
			c.failPanicked(flights, thrown)
			rest = nil
		}
	}()
	if outside := g.readLocal(flights); len(outside) > 0 {
		g.begin(outside)
		if c.life.Closed() {
			c.remote.Abandon() // Close may have done so just before
		}
		g.awaitRemote(outside)
		g.finishFound()
	}
	over = true
	return g.rest, g.due
}

// begin begins to read the flights' keys.
func (l *lookup[T]) begin(flights []*flight[T]) {
	m, at := l.cache.remote, flights[0].Start // a moment ago
	if len(flights) == 1 {
		flights[0].State.started, flights[0].State.asked = m.StartOne(l.ctx, flights[0].Key, at), at
		return
	}
	keys := make([]string, len(flights))
	for i, f := range flights {
		keys[i] = f.Key
	}
	for i, s := range m.Start(l.ctx, keys, at) {
		flights[i].State.started, flights[i].State.asked = s, at
	}
}

// readLocal finishes the flights whose values the local tier has, and returns the others.
func (l *lookup[T]) readLocal(flights []*flight[T]) (outside []*flight[T]) {
	outside = flights
	for i, f := range flights {
		r := l.cache.localRecord(f, f.Start)
		switch {
		case r != nil:
			if len(outside) == len(flights) {
				outside = append([]*flight[T](nil), flights[:i]...)
			}
			l.serve(f, r, f.Start)
			l.cache.finishFlight(f, r, nil)
		case len(outside) < len(flights):
			outside = append(outside, f)
		}
	}
	return outside
}

// awaitRemote waits for the started reads, and finishes the flights whose values Redis has.
func (l *lookup[T]) awaitRemote(flights []*flight[T]) {
	c := l.cache
	var late <-chan time.Time
	if soft := c.policy.SoftTimeout; soft > 0 {
		timer := time.NewTimer(soft)
		defer timer.Stop()
		late = timer.C
	}
	if len(flights) > 1 {
		l.found = make([]foundFlight[T], 0, len(flights))
	}
	waits := true
	for _, f := range flights {
		rd := f.State.started.Read
		if waits && rd != nil && !rd.Received {
			l.finishFound() // found items don't wait for another server
			waits = rd.Await(l.ctx, late)
		}
		if rd == nil || !rd.Received {
			l.rest = append(l.rest, f)
			continue
		}
		c.local.WaitForRoom(f.Hash)
		at := mono.Now()
		if at.Since(l.since) >= finishEvery {
			l.finishFound()
		}
		reply := f.State.started.Reply()
		it := c.tiers.Decode(l.ctx, f.Key, reply, at, &c.view)
		c.absences.note(it != nil, &reply)
		if it == nil {
			l.rest = append(l.rest, f)
			continue
		}
		kept := c.tiers.KeepRead(f.Ref, it, reply)
		f.State.started = redisconn.Pending{} // it keeps the replies of the whole batch in memory
		c.stats.remoteHits.Add(1)
		c.currentFrom(f.State.asked, f)
		l.serve(f, &it.Record, at)
		if len(flights) == 1 { // nothing to collect
			l.finishOne(foundFlight[T]{f, it, kept}, at)
			c.local.Flush()
			return
		}
		if len(l.found) == 0 {
			l.since = at
		}
		l.found = append(l.found, foundFlight[T]{f, it, kept})
	}
}

// finishFound finishes the flights whose items were found.
func (l *lookup[T]) finishFound() {
	if len(l.found) == 0 {
		return
	}
	defer l.cache.local.Flush()
	for len(l.found) > 0 {
		s := l.found[0]
		l.found = l.found[1:]
		l.finishOne(s, l.since)
	}
}

// finishOne finishes one flight. The caller must flush the local tier.
func (l *lookup[T]) finishOne(found foundFlight[T], at mono.Instant) {
	if found.kept {
		l.cache.keys.Leave(found.flight)
	} else {
		l.cache.keys.PutReadAndLeave(found.flight, found.item, at)
	}
	found.flight.Finish(&found.item.Record, nil)
}

// serve adds the flight's key to those to refresh, if the record is due for it.
func (l *lookup[T]) serve(f *flight[T], r *record.Record[T], at mono.Instant) {
	if r.Use(&l.cache.view.Windows, at) < record.Good {
		l.due = append(l.due, keyRef[T]{Key: f.Key, Hash: f.Hash})
		f.State.stale = r.Stale(at)
	}
}

// canLookUp reports whether the caller itself may read Redis for these flights: they are reads, and no request other than the
// read of the keys is needed.
func (c *Cache[T]) canLookUp(flights []*flight[T]) bool {
	return len(flights) <= redisconn.MaxBatch && flights[0].Reason == inflight.ForRead && c.tiers.ReadsKeysOnly(flights[0].Start)
}

// localRecord returns the local tier's record if it can finish the flight. If the record can't, it becomes the flight's fallback.
func (c *Cache[T]) localRecord(f *flight[T], at mono.Instant) *record.Record[T] {
	it := c.local.GetStale(f.Key, f.Hash, at)
	switch {
	case it == nil:
	case f.Reason == inflight.ForRead && c.local.InTime(it, at, &c.view.Windows),
		f.Reason == inflight.ForBackground && at < it.LocalUntil() && !it.NeedsRefresh(&c.view.Windows, at):
		if it.Valid(at) {
			f.State.current = it.ValidUntil()
		} else {
			c.local.CountUnverified() // Redis no longer answers
		}
		return &it.Record
	default:
		f.Offer(it, inflight.FromLocal)
	}
	return nil
}

// failPanicked ends the unfinished flights after a panic or a Goexit, as a job would.
func (c *Cache[T]) failPanicked(flights []*flight[T], thrown any) {
	c.stats.loadErrors.Add(1)
	err := panicError(thrown)
	for _, f := range flights {
		if !f.Finished() {
			c.keys.Leave(f)
			finishPanicked(f, err)
		}
	}
}

// finishFlight ends a flight. The next caller for its key starts a new one.
func (c *Cache[T]) finishFlight(f *flight[T], r *record.Record[T], err error) {
	c.keys.Leave(f)
	f.Finish(r, err)
}
