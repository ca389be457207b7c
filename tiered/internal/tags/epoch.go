package tags

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Position returns the position of a load that begins now. It may be an older one, which only invalidates more.
func (x *Index) Position(ctx context.Context) (coherence.Position, error) {
	if s := x.current.Load(); s != nil && s.Epoch.Validity.Load().Holds(mono.Now()) {
		return *s, nil
	}
	return x.open(ctx)
}

// KnownEpoch returns the current epoch, or nil if it isn't known.
func (x *Index) KnownEpoch() *coherence.Epoch { return x.epoch.Load() }

// Epoch returns the current epoch, which it reads from the tag store if it isn't known.
func (x *Index) Epoch(ctx context.Context) (*coherence.Epoch, error) {
	if e := x.epoch.Load(); e != nil && e.Validity.Load().Holds(mono.Now()) {
		return e, nil
	}
	s, err := x.open(ctx)
	return s.Epoch, err
}

// open returns the position that askInTime does. If that fails, it returns the last known position with the error. If the tag
// store's server doesn't answer, that position may be used without an error for a heartbeat at a time: in a Cluster, whose other
// nodes may answer, and without invalidation, where the end of an epoch isn't reported anyway. With strict it never may.
func (x *Index) open(ctx context.Context) (s coherence.Position, err error) {
	last := x.last.Load()
	s, inTime, err := x.askInTime(ctx)
	if err == nil || last == nil || last.Epoch.Over.Load() || last.Epoch.ID == (coherence.EpochID{}) {
		return s, err
	}
	r := x.Store.redis
	_, cluster := r.Client.(*redis.ClusterClient)
	if (cluster || r.Nodes.AnyFeed().NoEvents) && !x.strict && inTime && redisconn.Unanswered(err) && x.prolong(last) {
		err = nil
	}
	return *last, err
}

// prolong makes the last known position valid for one more heartbeat, unless its epoch has ended meanwhile.
func (x *Index) prolong(last *coherence.Position) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if last.Epoch.Over.Load() {
		return false
	}
	last.Epoch.Validity.Store(coherence.NewValidity(mono.Now().Add(x.Store.redis.Heartbeat)))
	x.current.Store(last)
	return true
}

// LastKnown returns the position of a load that can't ask the tag store. If none is known, its epoch is a placeholder for the
// unknown one.
func (x *Index) LastKnown() coherence.Position {
	x.mu.Lock()
	defer x.mu.Unlock()
	if last := x.last.Load(); last == nil || last.Epoch.Over.Load() {
		x.last.Store(&coherence.Position{Epoch: coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Never)})
	}
	return *x.last.Load()
}

// askInTime reads the position from the tag store, again if that took more than a local hit may be behind. It can't take so long unless
// this process was paused. Then the reply may be older than it seems, and the lack of one doesn't say that the server gave none.
// askInTime reports whether the second read was in time, if there was one.
func (x *Index) askInTime(ctx context.Context) (s coherence.Position, inTime bool, err error) {
	for range 2 {
		var began mono.Instant
		s, began, err = x.ask(ctx)
		if inTime = mono.Now().Since(began) <= x.Store.redis.MaxAge(); inTime {
			break
		}
	}
	return s, inTime, err
}

// ask reads the position from the tag store, and returns when the read began. Concurrent calls share one read, but not a read that
// began before a new epoch was reported.
func (x *Index) ask(ctx context.Context) (s coherence.Position, began mono.Instant, err error) {
	ctx = context.WithoutCancel(ctx)
	got, err, _ := x.asking.Do("", func() (any, error) {
		began := mono.Now()
		s, err := x.askAlone(ctx)
		return asked{s, began}, err
	})
	a := got.(asked)
	return a.Position, a.began, err
}

// asked is a position, or none, with the time at which it was asked for.
type asked struct {
	coherence.Position
	began mono.Instant
}

// askAlone is ask for one call.
func (x *Index) askAlone(ctx context.Context) (coherence.Position, error) {
	x.mu.Lock()
	epochs, seqs := x.epochChanges, x.seqChanges
	x.mu.Unlock()
	o, err := x.Store.open(ctx, 0, false)
	if err != nil {
		return coherence.Position{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if epochs != x.epochChanges {
		e := coherence.NewEpoch(o.epoch, o.expiry, coherence.Never)
		e.Over.Store(true) // EpochChanged has already run, and would not end this one
		return coherence.Position{Epoch: e, Seq: o.seq}, nil
	}
	s := coherence.Position{Epoch: x.setEpoch(&o), Seq: o.seq}
	x.last.Store(&s)
	if seqs == x.seqChanges {
		x.current.Store(&s)
	}
	return s, nil
}

// setEpoch makes the epoch in the reply the current one. The caller holds t.mu.
func (x *Index) setEpoch(o *epochState) *coherence.Epoch {
	p := x.Store.lasting(o.validity)
	known := x.epoch.Load()
	if o.is(known) {
		known.Validity.Store(p)
		return known
	}
	if known != nil {
		known.Over.Store(true)
	}
	if last := x.last.Load(); last != nil {
		last.Epoch.Over.Store(true)
	}
	e := coherence.NewEpoch(o.epoch, o.expiry, p)
	x.epoch.Store(e)
	return e
}

// Invalidate makes the values that have one of the tags invalid in the tag store, or with expire stale. It returns the tags for
// which it succeeded, and those for which it failed.
//
// The tag store may have a new epoch, whose report is still to come. It then has no record that says whether values of the known
// epoch are invalid, and that epoch ends here.
func (x *Index) Invalidate(ctx context.Context, names []string, expire bool) (done, failed []string, err error) {
	at, err := x.Store.open(ctx, 1, false)
	if err != nil {
		return nil, names, err
	}
	if !at.is(x.epoch.Load()) { // none is known: an older one may be on its way
		x.EpochChanged()
	}
	return x.Store.invalidate(ctx, at, names, expire)
}

// EpochChanged ends the current epoch, because the tag store's has changed.
func (x *Index) EpochChanged() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.epochChanges++
	x.asking.Forget("")
	if e := x.epoch.Swap(nil); e != nil {
		e.Over.Store(true)
	}
	if last := x.last.Load(); last != nil {
		last.Epoch.Over.Store(true)
	}
	x.current.Store(nil)
}
