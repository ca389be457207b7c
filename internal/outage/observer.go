//go:build !windows

package outage

import (
	"context"
	"time"
)

const tick = 5 * time.Millisecond

// noise is the longest delay with which a sleeping goroutine woke: the machine may add as much to any call.
type noise struct{ worst time.Duration }

// measure measures until ctx ends.
func (n *noise) measure(ctx context.Context) {
	for ctx.Err() == nil {
		start := time.Now()
		pause(ctx, tick)
		n.worst = max(n.worst, time.Since(start)-tick)
	}
}

// observer watches the invalidation streams of a process.
type observer struct {
	*process
	noEvents []span // when invalidations didn't arrive
}

// observe watches until ctx ends.
func (o *observer) observe(ctx context.Context, c clock) {
	since := time.Duration(-1)
	for ctx.Err() == nil {
		switch well := o.status() == nil; {
		case !well && since < 0:
			since = c.now()
		case well && since >= 0:
			o.noEvents = append(o.noEvents, span{since, c.now()})
			since = -1
		}
		pause(ctx, tick)
	}
	if since >= 0 {
		o.noEvents = append(o.noEvents, span{since, c.now()})
	}
}
