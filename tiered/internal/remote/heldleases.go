package remote

import (
	"context"
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
//
// All leases of a load have the same token, so that one value extends them all. An extension replaces the lease only where the key
// still holds one with this token, so it can't bring back a lease that was voided, and its reply shows which are lost. Each
// extension has another number: a process that waits sees by the changed bytes that the holder is alive.
//
// A timer runs the extensions, and only while something is held. It looks at least every third of wire.MaxLease, also if the
// leases of a large batch last longer, and extends when a third of their time is over.
type HeldLeases[T any] struct {
	tier *Tier[T]
	Holding
	seen redisconn.Expected // what the leased keys hold

	mu    sync.Mutex
	lease wire.Lease
	held  []leaseKey   // a key may be there twice
	only  [1]leaseKey  // the memory of held, if there is one
	timer *time.Timer  // nil until something is held
	due   mono.Instant // when the leases are to be extended
}

// leaseKey is the key of a cache for whose value there is a lease.
type leaseKey struct {
	key       string
	secondary bool
}

// NewHeldLeases returns an empty set of leases, which will all have the bytes of l.
func (t *Tier[T]) NewHeldLeases(l wire.Lease, h Holding) *HeldLeases[T] {
	held := &HeldLeases[T]{tier: t, Holding: h, lease: l, seen: SeenLease(l)}
	held.held = held.only[:0]
	return held
}

// Current returns the lease that is written when one is acquired now.
func (h *HeldLeases[T]) Current() wire.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease
}

// Seen returns what the leased keys hold.
func (h *HeldLeases[T]) Seen() redisconn.Expected { return h.seen }

// Owns reports whether the bytes found in Redis are the load's own lease: Redis stored it, but the reply was lost.
func (h *HeldLeases[T]) Owns(found redisconn.Expected) bool { return h != nil && h.seen == found }

// Add records the key's primary lease as held.
func (h *HeldLeases[T]) Add(key string) { h.add(leaseKey{key, false}) }

// AddSecondary records the key's secondary lease as held.
func (h *HeldLeases[T]) AddSecondary(key string) { h.add(leaseKey{key, true}) }

// add records a lease as held, and starts the timer that extends the leases.
func (h *HeldLeases[T]) add(k leaseKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.timer == nil:
		h.due = mono.Now().Add(h.lease.TTL / 3)
		h.timer = time.AfterFunc(h.lease.CheckEvery(), h.extend)
	case len(h.held) == 0:
		h.due = mono.Now().Add(h.lease.TTL / 3)
		h.timer.Reset(h.lease.CheckEvery())
	}
	h.held = append(h.held, k)
}

// redisKeys returns the keys of Redis that have the leases.
func (h *HeldLeases[T]) redisKeys(of []leaseKey) []string {
	keys := make([]string, len(of))
	for i, k := range of {
		if k.secondary {
			keys[i] = h.tier.Keys.Lease(k.key)
		} else {
			keys[i] = h.tier.Keys.Value(k.key)
		}
	}
	return keys
}

// extend checks the held leases and, when it is time, extends them. The timer calls it until no lease is held.
func (h *HeldLeases[T]) extend() {
	if !h.Life.Begin() {
		return
	}
	defer h.Life.End()
	began := mono.Now()
	h.mu.Lock()
	empty, due := len(h.held) == 0, began >= h.due
	var held []leaseKey
	if due {
		h.lease.Extended++
		held = slices.Clone(h.held)
	}
	l := h.lease
	h.mu.Unlock()
	if empty {
		return
	}
	var lost []leaseKey
	for i, a := range h.tier.extend(h.Base, h.redisKeys(held), l) {
		if a.Err == nil && !Leased(a) {
			lost = append(lost, held[i]) // the key was written or deleted
		}
	}
	h.drop(lost)
	h.mu.Lock()
	defer h.mu.Unlock()
	if due {
		h.due = began.Add(h.lease.TTL / 3)
	}
	if len(h.held) > 0 {
		h.timer.Reset(h.lease.CheckEvery())
	}
}

// Drop records that the primary leases of these keys are no longer held.
func (h *HeldLeases[T]) Drop(keys []string) {
	if h != nil && len(keys) == 1 {
		h.drop([]leaseKey{{keys[0], false}}) // on the stack
	} else if h != nil {
		h.drop(leaseKeys(keys, false))
	}
}

func leaseKeys(keys []string, secondary bool) []leaseKey {
	ks := make([]leaseKey, len(keys))
	for i, key := range keys {
		ks[i] = leaseKey{key, secondary}
	}
	return ks
}

// drop records that these leases are no longer held.
func (h *HeldLeases[T]) drop(over []leaseKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.held) == 1 {
		if slices.Contains(over, h.held[0]) {
			h.held = h.held[:0]
		}
	} else {
		among := make(map[leaseKey]bool, len(over))
		for _, k := range over {
			among[k] = true
		}
		h.held = slices.DeleteFunc(h.held, func(k leaseKey) bool { return among[k] })
	}
	if len(h.held) == 0 && h.timer != nil {
		h.timer.Stop()
	}
}

// Release releases all held leases.
func (h *HeldLeases[T]) Release() {
	if h == nil {
		return
	}
	held := h.all()
	if len(held) == 0 {
		return
	}
	h.drop(held)
	h.tier.release(context.Background(), h.redisKeys(held), h.seen)
	for _, k := range held {
		h.Released(k.key)
	}
}

// all returns the keys of the held leases.
func (h *HeldLeases[T]) all() []leaseKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]leaseKey(nil), h.held...)
}

// ReleaseSecondary releases the secondary leases of these keys.
func (h *HeldLeases[T]) ReleaseSecondary(ctx context.Context, keys []string) {
	if len(keys) == 0 {
		return
	}
	over := leaseKeys(keys, true)
	h.drop(over)
	h.tier.release(context.WithoutCancel(ctx), h.redisKeys(over), h.seen)
}
