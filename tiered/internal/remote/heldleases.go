package remote

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

// Holding says on whose behalf leases are held.
type Holding struct {
	Base     context.Context      // of extensions
	Life     *redisconn.Lifecycle // each extension belongs to it; after its end there are none
	Released func(key string)     // called for each key whose lease was released
}

// HeldLeases are the leases that a load holds. They are extended until it ends; then those that no value has replaced are released.
// A nil *HeldLeases holds none.
type HeldLeases[T any] struct {
	tier *Tier[T]
	Holding
	seen redisconn.Expected // what the leased keys hold

	mu    sync.Mutex
	lease wire.Lease
	held  map[string]string // the cache's keys by Redis's
	timer *time.Timer       // nil until something is held
	due   mono.Instant      // when the leases are to be extended
}

// NewHeldLeases returns an empty set of leases, which will all have the bytes of l.
func (m *Tier[T]) NewHeldLeases(l wire.Lease, h Holding) *HeldLeases[T] {
	return &HeldLeases[T]{tier: m, Holding: h, lease: l, seen: SeenLease(l), held: make(map[string]string)}
}

// Current returns the lease that is written when one is acquired now.
func (t *HeldLeases[T]) Current() wire.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lease
}

// Seen returns what the leased keys hold.
func (t *HeldLeases[T]) Seen() redisconn.Expected { return t.seen }

// Owns reports whether the bytes found in Redis are the load's own lease: Redis stored it, but the reply was lost.
func (t *HeldLeases[T]) Owns(found redisconn.Expected) bool { return t != nil && t.seen == found }

// Add records the key's primary lease as held.
func (t *HeldLeases[T]) Add(key string) { t.add(t.tier.Keys.Value(key), key) }

// AddForRefresh records the key's refresh lease as held.
func (t *HeldLeases[T]) AddForRefresh(key string) { t.add(t.tier.Keys.Lease(key), key) }

// add records a lease as held, and starts the timer that extends the leases.
func (t *HeldLeases[T]) add(redisKey, key string) {
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
	t.held[redisKey] = key
}

// extend checks the held leases and, when it is time, extends them. The timer calls it until no lease is held.
func (t *HeldLeases[T]) extend() {
	if !t.Life.Begin() {
		return
	}
	defer t.Life.End()
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
	for i, a := range t.tier.extend(t.Base, held, l) {
		if a.Err == nil && !Leased(a) {
			lost = append(lost, held[i]) // the key was written or deleted
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

// Drop records that the primary leases of these keys are no longer held.
func (t *HeldLeases[T]) Drop(keys []string) {
	if t != nil {
		t.drop(t.tier.redisKeys(keys))
	}
}

// drop is Drop for leases by Redis's keys.
func (t *HeldLeases[T]) drop(redisKeys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range redisKeys {
		delete(t.held, key)
	}
	if len(t.held) == 0 && t.timer != nil {
		t.timer.Stop()
	}
}

// Release releases all held leases.
func (t *HeldLeases[T]) Release() {
	if t == nil {
		return
	}
	t.mu.Lock()
	held := maps.Clone(t.held)
	t.mu.Unlock()
	if len(held) == 0 {
		return
	}
	redisKeys := slices.Collect(maps.Keys(held))
	t.drop(redisKeys)
	t.tier.release(context.Background(), redisKeys, t.seen)
	for _, key := range held {
		t.Released(key)
	}
}

// ReleaseForRefresh releases the refresh leases of these keys.
func (t *HeldLeases[T]) ReleaseForRefresh(ctx context.Context, keys []string) {
	if len(keys) == 0 {
		return
	}
	redisKeys := make([]string, len(keys))
	for i, key := range keys {
		redisKeys[i] = t.tier.Keys.Lease(key)
	}
	t.drop(redisKeys)
	t.tier.release(context.WithoutCancel(ctx), redisKeys, t.seen)
}
