package tiered

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// heldLeases is a job's leases while it holds them: it extends them until the load is over, and releases those in whose place
// nothing was stored.
type heldLeases[T any] struct {
	cache *Cache[T]
	seen  redisconn.Expected // what the leased keys hold

	mu    sync.Mutex
	lease wire.Lease
	held  map[string]keyRef[T] // by Redis's key
	timer *time.Timer          // nil until something is held
	due   mono.Instant         // when the leases are to be extended

	movingMu sync.Mutex // held while leases move
	moving   []*task[T] // whose leases may have to move yet, from beside a value into its place
}

func newHeldLeases[T any](c *Cache[T]) *heldLeases[T] {
	l := wire.NewLease(c.policy.LoadTimeout)
	return &heldLeases[T]{cache: c, lease: l, seen: seenLease(l), held: make(map[string]keyRef[T])}
}

// current is the lease as it is to be taken now.
func (t *heldLeases[T]) current() wire.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease
}

// owns reports whether what was found is this held leases' own lease: Redis took it, but the reply was lost.
func (t *heldLeases[T]) owns(found redisconn.Expected) bool { return t != nil && t.seen == found }

// add counts one more lease as held.
func (t *heldLeases[T]) add(h keyRef[T], redisKey string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.timer == nil:
		t.due = mono.Now().Add(t.lease.TTL / 3)
		t.timer = time.AfterFunc(t.lease.CheckEvery(), t.extend)
	case len(t.held) == 0:
		t.due = mono.Now().Add(t.lease.TTL / 3)
		t.timer.Reset(t.lease.CheckEvery())
	}
	t.held[redisKey] = h
}

// extend is called by the timer, until nothing is held.
func (t *heldLeases[T]) extend() {
	if !t.cache.life.Begin() {
		return
	}
	defer t.cache.life.End()
	began := mono.Now()
	t.mu.Lock()
	empty, due := len(t.held) == 0, began >= t.due
	var held []string
	if due {
		t.lease.Extended++
		held = slices.Collect(maps.Keys(t.held))
	}
	l := t.lease
	t.mu.Unlock()
	if empty {
		return
	}
	var lost []string
	for i, a := range t.cache.remote.extend(t.cache.base, held, l) {
		if a.Err == nil && !leased(a) {
			lost = append(lost, held[i]) // to whoever wrote the key
		}
	}
	t.drop(lost)
	t.moveDueLeases(t.cache.base)
	t.mu.Lock()
	defer t.mu.Unlock()
	if due {
		t.due = began.Add(t.lease.TTL / 3)
	}
	if len(t.held) > 0 {
		t.timer.Reset(t.lease.CheckEvery())
	}
}

// drop counts the leases of some keys as no longer held.
func (t *heldLeases[T]) drop(redisKeys []string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range redisKeys {
		delete(t.held, key)
	}
	if len(t.held) == 0 && t.timer != nil {
		t.timer.Stop()
	}
}

// release gives back whatever is held.
func (t *heldLeases[T]) release() {
	if t == nil {
		return
	}
	t.stopMoving()
	t.mu.Lock()
	held := maps.Clone(t.held)
	t.mu.Unlock()
	if len(held) == 0 {
		return
	}
	keys := slices.Collect(maps.Keys(held))
	t.drop(keys)
	t.cache.remote.release(context.Background(), keys, t.seen)
	t.cache.keys.wakeAll(slices.Collect(maps.Values(held)))
}
