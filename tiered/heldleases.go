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

// heldLeases are the leases that a job holds. They are extended until the load ends; then those that no value has replaced are
// released.
type heldLeases[T any] struct {
	cache *Cache[T]
	seen  redisconn.Expected // what the leased keys hold

	mu    sync.Mutex
	lease wire.Lease
	held  map[string]keyRef[T] // by Redis's key
	timer *time.Timer          // nil until something is held
	due   mono.Instant         // when the leases are to be extended
}

// newHeldLeases returns an empty set of leases, which all will have the same new lease as their bytes.
func newHeldLeases[T any](c *Cache[T]) *heldLeases[T] {
	l := wire.NewLease(c.policy.LoadTimeout)
	return &heldLeases[T]{cache: c, lease: l, seen: seenLease(l), held: make(map[string]keyRef[T])}
}

// current returns the lease that is written when one is acquired now.
func (t *heldLeases[T]) current() wire.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease
}

// owns reports whether the bytes found in Redis are this job's own lease: Redis stored it, but the reply was lost.
func (t *heldLeases[T]) owns(found redisconn.Expected) bool { return t != nil && t.seen == found }

// add records a lease as held, and starts the timer that extends the leases.
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

// extend checks the held leases and, when it is time, extends them. The timer calls it until no lease is held.
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
			lost = append(lost, held[i]) // somebody else has written the key
		}
	}
	t.drop(lost)
	t.mu.Lock()
	defer t.mu.Unlock()
	if due {
		t.due = began.Add(t.lease.TTL / 3)
	}
	if len(t.held) > 0 {
		t.timer.Reset(t.lease.CheckEvery())
	}
}

// drop records that the leases of these keys are no longer held.
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

// release releases all held leases.
func (t *heldLeases[T]) release() {
	if t == nil {
		return
	}
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

// giveBack releases the leases of these keys.
func (t *heldLeases[T]) giveBack(ctx context.Context, redisKeys []string) {
	if len(redisKeys) > 0 {
		t.drop(redisKeys)
		t.cache.remote.release(context.WithoutCancel(ctx), redisKeys, t.seen)
	}
}
