package tiered

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
)

// writeLock locks some keys for writing: while it is held, this process makes no other write of them to Redis. So its
// writes of a key reach Redis and the local tier in the same order.
//
// The lock is released when both the writer and its call to Redis are done. A writer may stop waiting for a call that goes on,
// and no later write may overtake that call.
type writeLock[T any] struct {
	guards *keyTable[T]
	held   []keyLock[T]
	users  atomic.Int32
}

// keyLock is the write lock of one key.
type keyLock[T any] struct {
	hold  keyRef[T] // keeps the key state while the lock is held
	taken chan struct{}
}

// lockWrites locks the keys that it can lock at once, or with wait before ctx ends. It returns the key writes whose keys are
// locked and, as busy, the others. The caller must call done twice.
func (g *keyTable[T]) lockWrites(ctx context.Context, changes []keyWrite[T], wait bool) (t *writeLock[T], inTurn, busy []keyWrite[T]) {
	t = &writeLock[T]{guards: g}
	t.users.Store(2)
	// Locking in the order of the keys keeps two batches from waiting for each other.
	changes = slices.SortedFunc(slices.Values(changes), func(a, b keyWrite[T]) int {
		return strings.Compare(a.hold.key, b.hold.key)
	})
	for _, ch := range changes {
		tn := g.turn(ch.hold)
		if tn.take(ctx, wait) {
			t.held = append(t.held, tn)
			inTurn = append(inTurn, ch)
		} else {
			g.release(tn.hold)
			busy = append(busy, ch)
		}
	}
	return t, inTurn, busy
}

// turn returns the write lock of a key, with a reference of its own.
func (g *keyTable[T]) turn(of keyRef[T]) keyLock[T] {
	s := g.shard(of.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hold(of.key, of.hash)
	if h.guard.turn == nil {
		h.guard.turn = make(chan struct{}, 1)
	}
	return keyLock[T]{h, h.guard.turn}
}

// take locks the key and reports whether it could, at once or with wait before ctx ends.
func (tn keyLock[T]) take(ctx context.Context, wait bool) bool {
	select {
	case tn.taken <- struct{}{}:
		return true
	default:
	}
	if !wait {
		return false
	}
	select {
	case tn.taken <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// done is called once by the writer and once when its call has ended. The second call releases the lock.
func (t *writeLock[T]) done() {
	if t.users.Add(-1) > 0 {
		return
	}
	for _, tn := range t.held {
		<-tn.taken
		t.guards.release(tn.hold)
	}
}
