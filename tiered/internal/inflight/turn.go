package inflight

import (
	"context"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Turn makes the calls of a batch's loader run one at a time while the batch waits for them. Each round has its own Turn:
// calls of an earlier round that are still running don't delay it.
type Turn struct {
	taken chan struct{} // has an element while a call has the turn
	over  chan struct{} // closed when the round ends
}

// NewTurn returns the turn of one round.
func NewTurn() *Turn {
	return &Turn{taken: make(chan struct{}, 1), over: make(chan struct{})}
}

// End lets all waiting calls run at once: the batch no longer waits for them.
func (t *Turn) End() { close(t.over) }

// Acquire waits for the turn and returns a function that ends it. The turn also ends when ctx ends, since the load is then overdue,
// and when SoftTimeout has passed since start and served reports that the callers have fallbacks.
func (t *Turn) Acquire(ctx context.Context, soft time.Duration, served func() bool, start mono.Instant) (done func(), err error) {
	select {
	case t.taken <- struct{}{}:
	case <-t.over:
		return func() {}, ctx.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	giveBack := sync.OnceFunc(func() { <-t.taken })
	if err := ctx.Err(); err != nil { // the select may have had both to choose from
		giveBack()
		return nil, err
	}
	var timer *time.Timer
	if soft > 0 {
		timer = time.AfterFunc(soft-mono.Now().Since(start), func() {
			if served() {
				giveBack()
			}
		})
	}
	leave := func() {
		if timer != nil {
			timer.Stop()
		}
		giveBack()
	}
	stop := context.AfterFunc(ctx, leave)
	return func() {
		stop()
		leave()
	}, nil
}
