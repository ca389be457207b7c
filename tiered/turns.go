package tiered

import (
	"context"
	"fmt"
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
	holds  []hold[T]
	users  atomic.Int32
}

// takeTurns waits for the turns until ctx ends. They are taken in the order of the keys, so that two batches can't wait
// for each other. done must be called twice.
func (g *guards[T]) takeTurns(ctx context.Context, changes []change[T]) (*turns[T], error) {
	t := &turns[T]{guards: g, holds: make([]hold[T], 0, len(changes))}
	t.users.Store(2)
	for _, ch := range slices.SortedFunc(slices.Values(changes), func(a, b change[T]) int {
		return strings.Compare(a.hold.key, b.hold.key)
	}) {
		h := g.hold(ch.hold.key, ch.hold.hash) // the guard stays while the turn is taken
		if err := g.takeTurn(ctx, h); err != nil {
			g.release(h)
			t.giveBack()
			return nil, err
		}
		t.holds = append(t.holds, h)
	}
	return t, nil
}

func (g *guards[T]) takeTurn(ctx context.Context, h hold[T]) error {
	turn := g.turn(h)
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("tiered: redis: another write of the key is still under way: %w", ctx.Err())
	}
}

func (g *guards[T]) turn(h hold[T]) chan struct{} {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.guard.turn == nil {
		h.guard.turn = make(chan struct{}, 1)
	}
	return h.guard.turn
}

// done says that the writer, or its call, is done.
func (t *turns[T]) done() {
	if t.users.Add(-1) == 0 {
		t.giveBack()
	}
}

func (t *turns[T]) giveBack() {
	for _, h := range t.holds {
		<-t.guards.turn(h)
		t.guards.release(h)
	}
}
