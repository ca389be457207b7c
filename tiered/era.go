package tiered

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// begin begins an era in this process alone.
func (t *tags) begin(count uint64) {
	e := newEra(eraID{}, 0, selfEvident)
	t.era.Store(e)
	t.now.Store(&stamp{e, count})
}

func newEra(id eraID, expiry uint64, p *proof) *era {
	e := &era{id: id, expiry: expiry, over: new(atomic.Bool)}
	e.proof.Store(p)
	return e
}

// stamp returns the place of a load that begins now. An older one only invalidates more.
func (t *tags) stamp(ctx context.Context) (stamp, error) {
	if s := t.now.Load(); s != nil && s.era.proof.Load().holds(mono.Now()) {
		return *s, nil
	}
	return t.open(ctx)
}

// current returns the era of now.
func (t *tags) current(ctx context.Context) (*era, error) {
	if e := t.era.Load(); e != nil && e.proof.Load().holds(mono.Now()) {
		return e, nil
	}
	s, err := t.open(ctx)
	return s.era, err
}

// open asks the ledger. If that fails, what was last known comes with the error. It will do, for a heartbeat at a time, if
// the ledger's server doesn't answer, where other nodes of a Cluster may well answer, and where nothing is heard of an era's
// end anyway; not where it has to be certain.
func (t *tags) open(ctx context.Context) (s stamp, err error) {
	last := t.last.Load()
	if last == nil || last.era.over.Load() || last.era.id == (eraID{}) {
		return t.ask(ctx)
	}
	if s, err = t.ask(ctx); err == nil {
		return s, nil
	}
	r := t.ledger.redis
	_, cluster := r.client.(*redis.ClusterClient)
	if (cluster || r.nodes.any().deaf) && !t.strict && unanswered(err) && t.prolong(last) {
		err = nil
	}
	return *last, err
}

// prolong makes the stamp that was last known do for a while, unless its era was heard to be over meanwhile.
func (t *tags) prolong(last *stamp) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last.era.over.Load() {
		return false
	}
	last.era.proof.Store(newProof(mono.Now().Add(t.ledger.redis.heartbeat)))
	t.now.Store(last)
	return true
}

// lastKnown is the stamp of a load that can't ask the ledger. Before anything is known it is of an era that stands for
// whichever it is.
func (t *tags) lastKnown() stamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.last.Load(); last == nil || last.era.over.Load() {
		t.last.Store(&stamp{era: newEra(eraID{}, 0, unproven)})
	}
	return *t.last.Load()
}

// ask asks the ledger. Those who ask at the same time share the answer, but not one that was asked for before this process
// heard of a new era.
func (t *tags) ask(ctx context.Context) (stamp, error) {
	ctx = context.WithoutCancel(ctx)
	s, err, _ := t.opening.Do("", func() (any, error) {
		t.mu.Lock()
		eras, counts := t.erasHeard, t.countsHeard
		t.mu.Unlock()
		o, err := t.ledger.open(ctx, 0, false)
		if err != nil {
			return stamp{}, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if eras != t.erasHeard {
			e := newEra(o.era, o.expiry, unproven)
			e.over.Store(true) // nobody would end it with the others
			return stamp{e, o.count}, nil
		}
		s := stamp{t.learn(&o), o.count}
		t.last.Store(&s)
		if counts == t.countsHeard {
			t.now.Store(&s)
		}
		return s, nil
	})
	return s.(stamp), err
}

// learn makes the era that was opened the current one.
func (t *tags) learn(o *opened) *era {
	p := t.ledger.redis.learned(o.proof)
	known := t.era.Load()
	if known != nil && known.id == o.era && known.expiry == o.expiry {
		known.proof.Store(p)
		return known
	}
	if known != nil {
		known.over.Store(true)
	}
	if last := t.last.Load(); last != nil {
		last.era.over.Store(true)
	}
	e := newEra(o.era, o.expiry, p)
	t.era.Store(e)
	return e
}

// clear makes everything invalid, or with expire stale.
func (t *tags) clear(ctx context.Context, expire bool) (err error) {
	if t.ledger == nil {
		t.cleared(expire)
		return nil
	}
	mark := t.backlog.mark()
	if err = t.ledger.clear(ctx, expire); err != nil {
		err = t.backlog.queueClear(expire, err) // before anything is forgotten here, see consult
	}
	t.heardEra()
	if err == nil {
		t.backlog.pay(func() { t.backlog.payClear(mark, expire) }) // reads rely on Redis again
	}
	return err
}

// cleared is what clear is in a cache without a ledger.
func (t *tags) cleared(expire bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	older, count := t.era.Load(), t.now.Load().count
	if !expire {
		if older.latest != nil {
			older.latest.replace(nil)
		}
		older.over.Store(true)
		t.begin(count)
		return
	}
	e := newEra(eraID{}, count+1, selfEvident)
	older.latest = older.latest.replace(e)
	e.latest = older.latest
	older.over.Store(true)
	t.era.Store(e)
	t.now.Store(&stamp{e, count + 1})
}

func (t *tags) heardEra() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erasHeard++
	t.opening.Forget("")
	if e := t.era.Swap(nil); e != nil {
		e.over.Store(true)
	}
	if last := t.last.Load(); last != nil {
		last.era.over.Store(true)
	}
	t.now.Store(nil)
}

// learned is the proof of what was learned from the ledger. Where nothing is heard of its changes, it is asked again in a
// while.
func (r *conn) learned(p *proof) *proof {
	if p == selfEvident {
		return newProof(mono.Now().Add(r.maxAge()))
	}
	return p
}
