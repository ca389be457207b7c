//go:build !windows

package outage

import (
	"context"
	"time"
)

const tick = 5 * time.Millisecond

// noise is by how much the worst sleeper overslept: what the machine adds to the time of any call.
type noise struct{ worst time.Duration }

// measure works until ctx ends.
func (n *noise) measure(ctx context.Context) {
	for ctx.Err() == nil {
		start := time.Now()
		pause(ctx, tick)
		n.worst = max(n.worst, time.Since(start)-tick)
	}
}

// observer watches the streams of a process.
type observer struct {
	*process
	deaf []span // when invalidations didn't arrive
}

// observe works until ctx ends.
func (o *observer) observe(ctx context.Context, c clock) {
	since := time.Duration(-1)
	for ctx.Err() == nil {
		switch well := o.status() == nil; {
		case !well && since < 0:
			since = c.now()
		case well && since >= 0:
			o.deaf = append(o.deaf, span{since, c.now()})
			since = -1
		}
		pause(ctx, tick)
	}
	if since >= 0 {
		o.deaf = append(o.deaf, span{since, c.now()})
	}
}
