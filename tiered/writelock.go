package tiered

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
)

// writeLock are the turns of some keys: while Redis is written, this process makes no other write of them, so that its
// writes of a key come to Redis and to the local tier in the same order.
//
// They are given back when both the writer and its call to Redis are done. A writer may give the call up at its time,
// and the call go on; a later write may not overtake it.
type writeLock[T any] struct {
	guards *keyTable[T]
	held   []keyLock[T]
	users  atomic.Int32
}

type keyLock[T any] struct {
	hold  keyRef[T] // the key state stays while the turn is taken
	taken chan struct{}
}

// lockWrites takes the turns that it gets at once, or with wait before ctx ends. It returns the changes that are in turn
// and those that aren't: one whose turn isn't to be had doesn't keep the others from theirs. done must be called twice.
func (g *keyTable[T]) lockWrites(ctx context.Context, changes []keyWrite[T], wait bool) (t *writeLock[T], inTurn, busy []keyWrite[T]) {
	t = &writeLock[T]{guards: g}
	t.users.Store(2)
	// In the order of the keys, so that two batches that wait can't wait for each other.
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

// done says that the writer, or its call, is done.
func (t *writeLock[T]) done() {
	if t.users.Add(-1) > 0 {
		return
	}
	for _, tn := range t.held {
		<-tn.taken
		t.guards.release(tn.hold)
	}
}
