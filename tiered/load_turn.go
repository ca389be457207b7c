package tiered

import (
	"context"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// loadTurn sees to it that the calls of a batch's loader come one at a time while the batch waits for them. Each round has its
// own: what was begun in an earlier one isn't waited for any more.
type loadTurn struct {
	taken chan struct{} // has an element while a call has the turn
	over  chan struct{} // closed when the round is
}

func newLoadTurn() *loadTurn {
	return &loadTurn{taken: make(chan struct{}, 1), over: make(chan struct{})}
}

// end lets the calls that wait begin, as in the background.
func (t *loadTurn) end() { close(t.over) }

// take waits for the turn, and returns what gives it back. It is given back earlier when ctx ends, since the load is overdue then,
// and when SoftTimeout has passed since start, if the callers are served something else from then on.
func (t *loadTurn) take(ctx context.Context, soft time.Duration, served func() bool, start mono.Instant) (done func(), err error) {
	select {
	case t.taken <- struct{}{}:
	case <-t.over:
		return func() {}, ctx.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	giveBack := sync.OnceFunc(func() { <-t.taken })
	if err := ctx.Err(); err != nil { // both may have come at the same time
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
