package tiered

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// begin begins an epoch in a cache without a tag store.
func (t *tagIndex) begin(count uint64) {
	e := coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Always)
	t.epoch.Store(e)
	t.position.Store(&coherence.Position{Epoch: e, Seq: count})
}

// positionNow returns the position of a load that begins now. It may be an older one, which only invalidates more.
func (t *tagIndex) positionNow(ctx context.Context) (coherence.Position, error) {
	if s := t.position.Load(); s != nil && s.Epoch.Validity.Load().Holds(mono.Now()) {
		return *s, nil
	}
	return t.open(ctx)
}

// currentEpoch returns the current epoch, which it reads from the tag store if it isn't known.
func (t *tagIndex) currentEpoch(ctx context.Context) (*coherence.Epoch, error) {
	if e := t.epoch.Load(); e != nil && e.Validity.Load().Holds(mono.Now()) {
		return e, nil
	}
	s, err := t.open(ctx)
	return s.Epoch, err
}

// open reads the position from the tag store. If that fails, it returns the last known position with the error. If the tag
// store's server doesn't answer, that position may be used without an error for a heartbeat at a time: in a Cluster, whose other
// nodes may answer, and without invalidation, where the end of an epoch isn't heard of anyway. With strict it never may.
func (t *tagIndex) open(ctx context.Context) (s coherence.Position, err error) {
	last := t.lastPosition.Load()
	if last == nil || last.Epoch.Over.Load() || last.Epoch.ID == (coherence.EpochID{}) {
		return t.ask(ctx)
	}
	if s, err = t.ask(ctx); err == nil {
		return s, nil
	}
	r := t.ledger.redis
	_, cluster := r.Client.(*redis.ClusterClient)
	if (cluster || r.Nodes.Any().NoEvents) && !t.strict && redisconn.Unanswered(err) && t.prolong(last) {
		err = nil
	}
	return *last, err
}

// prolong makes the last known position valid for one more heartbeat, unless its epoch has ended meanwhile.
func (t *tagIndex) prolong(last *coherence.Position) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last.Epoch.Over.Load() {
		return false
	}
	last.Epoch.Validity.Store(coherence.NewValidity(mono.Now().Add(t.ledger.redis.Heartbeat)))
	t.position.Store(last)
	return true
}

// lastKnown returns the position of a load that can't ask the tag store. If none is known, its epoch is a placeholder for the
// unknown one.
func (t *tagIndex) lastKnown() coherence.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.lastPosition.Load(); last == nil || last.Epoch.Over.Load() {
		t.lastPosition.Store(&coherence.Position{Epoch: coherence.NewEpoch(coherence.EpochID{}, 0, coherence.Never)})
	}
	return *t.lastPosition.Load()
}

// ask reads the position from the tag store. Concurrent calls share one read, but not a read that began before this process
// heard of a new epoch.
func (t *tagIndex) ask(ctx context.Context) (coherence.Position, error) {
	ctx = context.WithoutCancel(ctx)
	s, err, _ := t.opening.Do("", func() (any, error) {
		t.mu.Lock()
		eras, counts := t.epochChanges, t.seqChanges
		t.mu.Unlock()
		o, err := t.ledger.open(ctx, 0, false)
		if err != nil {
			return coherence.Position{}, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if eras != t.epochChanges {
			e := coherence.NewEpoch(o.era, o.expiry, coherence.Never)
			e.Over.Store(true) // epochChanged has already run, and would not end this one
			return coherence.Position{Epoch: e, Seq: o.count}, nil
		}
		s := coherence.Position{Epoch: t.learn(&o), Seq: o.count}
		t.lastPosition.Store(&s)
		if counts == t.seqChanges {
			t.position.Store(&s)
		}
		return s, nil
	})
	return s.(coherence.Position), err
}

// learn makes the epoch in the reply the current one. The caller holds t.mu.
func (t *tagIndex) learn(o *epochReply) *coherence.Epoch {
	p := t.ledger.learned(o.proof)
	known := t.epoch.Load()
	if known != nil && known.ID == o.era && known.Expiry == o.expiry {
		known.Validity.Store(p)
		return known
	}
	if known != nil {
		known.Over.Store(true)
	}
	if last := t.lastPosition.Load(); last != nil {
		last.Epoch.Over.Store(true)
	}
	e := coherence.NewEpoch(o.era, o.expiry, p)
	t.epoch.Store(e)
	return e
}

// cleared applies a Clear, or with expire an ExpireAll, in a cache without a tag store.
func (t *tagIndex) cleared(expire bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	older, count := t.epoch.Load(), t.position.Load().Seq
	if !expire {
		if older.Latest != nil {
			older.Latest.Replace(nil)
		}
		older.Over.Store(true)
		t.begin(count)
		return
	}
	e := coherence.NewEpoch(coherence.EpochID{}, count+1, coherence.Always)
	older.Latest = older.Latest.Replace(e)
	e.Latest = older.Latest
	older.Over.Store(true)
	t.epoch.Store(e)
	t.position.Store(&coherence.Position{Epoch: e, Seq: count + 1})
}

// epochChanged ends the current epoch, because the tag store's has changed.
func (t *tagIndex) epochChanged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epochChanges++
	t.opening.Forget("")
	if e := t.epoch.Swap(nil); e != nil {
		e.Over.Store(true)
	}
	if last := t.lastPosition.Load(); last != nil {
		last.Epoch.Over.Store(true)
	}
	t.position.Store(nil)
}

// learned returns the validity of a reply with the validity p. If no change of the tag store is heard of, it is limited, so that
// the store is asked again.
func (l *tagStore) learned(p *coherence.Validity) *coherence.Validity {
	if p == coherence.Always {
		return coherence.NewValidity(mono.Now().Add(l.redis.MaxAge()))
	}
	return p
}
