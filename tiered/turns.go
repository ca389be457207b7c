package tiered

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
)

// turns are the turns of some keys: while Redis is written, this process makes no other write of them, so that its
// writes of a key come to Redis and to the local tier in the same order.
//
// They are given back when both the writer and its call to Redis are done. A writer may give the call up at its time,
// and the call go on; a later write may not overtake it.
type turns[T any] struct {
	guards *guards[T]
	held   []turn[T]
	users  atomic.Int32
}

type turn[T any] struct {
	hold  hold[T] // the guard stays while the turn is taken
	taken chan struct{}
}

// takeTurns takes the turns that it gets at once, or with wait before ctx ends. It returns the changes that are in turn
// and those that aren't: one whose turn isn't to be had doesn't keep the others from theirs. done must be called twice.
func (g *guards[T]) takeTurns(ctx context.Context, changes []change[T], wait bool) (t *turns[T], inTurn, busy []change[T]) {
	t = &turns[T]{guards: g}
	t.users.Store(2)
	// In the order of the keys, so that two batches that wait can't wait for each other.
	changes = slices.SortedFunc(slices.Values(changes), func(a, b change[T]) int {
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

func (g *guards[T]) turn(of hold[T]) turn[T] {
	s := g.shard(of.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hold(of.key, of.hash)
	if h.guard.turn == nil {
		h.guard.turn = make(chan struct{}, 1)
	}
	return turn[T]{h, h.guard.turn}
}

func (tn turn[T]) take(ctx context.Context, wait bool) bool {
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
func (t *turns[T]) done() {
	if t.users.Add(-1) > 0 {
		return
	}
	for _, tn := range t.held {
		<-tn.taken
		t.guards.release(tn.hold)
	}
}
