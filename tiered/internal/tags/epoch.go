package tags

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Position returns the position of a load that begins now. It may be an older one, which only invalidates more.
func (t *Index) Position(ctx context.Context) (coherence.Position, error) {
	if s := t.current.Load(); s != nil && s.Epoch.Validity.Load().Holds(mono.Now()) {
		return *s, nil
	}
	return t.open(ctx)
}

// KnownEpoch returns the current epoch, or nil if it isn't known.
func (t *Index) KnownEpoch() *coherence.Epoch { return t.epoch.Load() }

// Epoch returns the current epoch, which it reads from the tag store if it isn't known.
func (t *Index) Epoch(ctx context.Context) (*coherence.Epoch, error) {
	if e := t.epoch.Load(); e != nil && e.Validity.Load().Holds(mono.Now()) {
		return e, nil
	}
	s, err := t.open(ctx)
	return s.Epoch, err
}

// open reads the position from the tag store. If that fails, it returns the last known position with the error. If the tag
// store's server doesn't answer, that position may be used without an error for a heartbeat at a time: in a Cluster, whose other
// nodes may answer, and without invalidation, where the end of an epoch isn't reported anyway. With strict it never may.
func (t *Index) open(ctx context.Context) (s coherence.Position, err error) {
	last := t.last.Load()
	if last == nil || last.Epoch.Over.Load() || last.Epoch.ID == (coherence.EpochID{}) {
		return t.ask(ctx)
	}
	if s, err = t.ask(ctx); err == nil {
		return s, nil
	}
	r := t.Store.redis
	_, cluster := r.Client.(*redis.ClusterClient)
	if (cluster || r.Nodes.AnyFeed().NoEvents) && !t.strict && redisconn.Unanswered(err) && t.prolong(last) {
		err = nil
	}
	return *last, err
}

// prolong makes the last known position valid for one more heartbeat, unless its epoch has ended meanwhile.
func (t *Index) prolong(last *coherence.Position) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last.Epoch.Over.Load() {
		return false
	}
	last.Epoch.Validity.Store(coherence.NewValidity(mono.Now().Add(t.Store.redis.Heartbeat)))
	t.current.Store(last)
	return true
}

// LastKnown returns the position of a load that can't ask the tag store. If none is known, its epoch is a placeholder for the
// unknown one.
func (t *Index) LastKnown() coherence.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.last.Load(); last == nil || last.Epoch.Over.Load() {
		t.last.Store(&coherence.Position{Epoch: coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Never)})
	}
	return *t.last.Load()
}

// ask reads the position from the tag store. Concurrent calls share one read, but not a read that began before a new
// epoch was reported.
func (t *Index) ask(ctx context.Context) (coherence.Position, error) {
	ctx = context.WithoutCancel(ctx)
	s, err, _ := t.asking.Do("", func() (any, error) {
		t.mu.Lock()
		epochs, seqs := t.epochChanges, t.seqChanges
		t.mu.Unlock()
		o, err := t.Store.open(ctx, 0, false)
		if err != nil {
			return coherence.Position{}, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if epochs != t.epochChanges {
			e := coherence.NewEpoch(o.epoch, o.expiry, coherence.Never)
			e.Over.Store(true) // EpochChanged has already run, and would not end this one
			return coherence.Position{Epoch: e, Seq: o.seq}, nil
		}
		s := coherence.Position{Epoch: t.setEpoch(&o), Seq: o.seq}
		t.last.Store(&s)
		if seqs == t.seqChanges {
			t.current.Store(&s)
		}
		return s, nil
	})
	return s.(coherence.Position), err
}

// setEpoch makes the epoch in the reply the current one. The caller holds t.mu.
func (t *Index) setEpoch(o *epochState) *coherence.Epoch {
	p := t.Store.lasting(o.validity)
	known := t.epoch.Load()
	if known != nil && known.ID == o.epoch && known.Expiry == o.expiry {
		known.Validity.Store(p)
		return known
	}
	if known != nil {
		known.Over.Store(true)
	}
	if last := t.last.Load(); last != nil {
		last.Epoch.Over.Store(true)
	}
	e := coherence.NewEpoch(o.epoch, o.expiry, p)
	t.epoch.Store(e)
	return e
}

// EpochChanged ends the current epoch, because the tag store's has changed.
func (t *Index) EpochChanged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epochChanges++
	t.asking.Forget("")
	if e := t.epoch.Swap(nil); e != nil {
		e.Over.Store(true)
	}
	if last := t.last.Load(); last != nil {
		last.Epoch.Over.Store(true)
	}
	t.current.Store(nil)
}
