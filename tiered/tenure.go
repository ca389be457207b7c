package tiered

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// tenure is a trip's leases while it holds them: it extends them until the load is over, and releases those in whose place
// nothing was stored.
type tenure[T any] struct {
	cache *Cache[T]
	seen  seen // what the leased keys hold

	mu    sync.Mutex
	lease lease
	held  map[string]hold[T] // by key
	timer *time.Timer        // nil until something is held
}

func newTenure[T any](c *Cache[T]) *tenure[T] {
	l := newLease(c.policy.LoadTimeout)
	return &tenure[T]{cache: c, lease: l, seen: l.seen(), held: make(map[string]hold[T])}
}

// current is the lease as it is to be taken now.
func (t *tenure[T]) current() lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease
}

// owns answers whether what was found is this tenure's own lease: Redis took it, but the reply was lost.
func (t *tenure[T]) owns(found seen) bool { return t != nil && t.seen == found }

// add counts one more lease as held.
func (t *tenure[T]) add(h hold[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.timer == nil:
		t.timer = time.AfterFunc(t.lease.ttl/3, t.extend)
	case len(t.held) == 0:
		t.timer.Reset(t.lease.ttl / 3)
	}
	t.held[h.key] = h
}

// extend is called by the timer, until nothing is held.
func (t *tenure[T]) extend() {
	if !t.cache.life.begin() {
		return
	}
	defer t.cache.life.end()
	t.mu.Lock()
	t.lease.extended++
	l, held := t.lease, slices.Collect(maps.Values(t.held))
	t.mu.Unlock()
	if len(held) == 0 {
		return
	}
	var lost []hold[T]
	for i, a := range t.cache.remote.extend(t.cache.base, held, l) {
		if a.err == nil && !a.leased() {
			lost = append(lost, held[i]) // to whoever wrote the key
		}
	}
	t.drop(lost)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.held) > 0 {
		t.timer.Reset(t.lease.ttl / 3)
	}
}

// drop counts the leases of some keys as no longer held.
func (t *tenure[T]) drop(holds []hold[T]) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range holds {
		delete(t.held, h.key)
	}
	if len(t.held) == 0 && t.timer != nil {
		t.timer.Stop()
	}
}

// release gives back whatever is held.
func (t *tenure[T]) release() {
	if t == nil {
		return
	}
	t.mu.Lock()
	held := slices.Collect(maps.Values(t.held))
	t.mu.Unlock()
	if len(held) == 0 {
		return
	}
	changes := make([]change[T], len(held))
	for i, h := range held {
		changes[i] = change[T]{hold: h, seen: t.seen}
	}
	t.drop(held)
	t.cache.remote.replace(context.Background(), changes)
	t.cache.guards.tell(held)
}
