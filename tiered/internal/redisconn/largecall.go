package redisconn

import (
	"context"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A call for many keys, or for a large value, may well take longer than Timeout though nothing is wrong. If such
// calls just had a longer Timeout, a batch would also wait that long for a server that is down. So a large call is
// watched: after a quarter of Timeout a probe is sent beside it, unless one is under way. If at the end of Timeout
// the server has answered the probe, or any other call that began after this one, the wait begins anew. If it hasn't,
// the call is given up, or a quarter later if the probe, which has a Timeout of its own, is still under way.
// MaxTimeouts bounds the whole.

// MaxTimeouts is how many Timeouts a large call may take, as long as the server answers other calls meanwhile. With
// the default options go-redis itself waits longer.
const MaxTimeouts = 8

// makeLarge is make for a call that sends or receives much. It may take MaxTimeouts while the server answers others.
func (cl *call[R]) makeLarge(ctx context.Context, t target, name string, ended func(), w work[R]) (R, error) {
	c := t.Breaker.caller
	if !cl.begin(ctx, c, mono.Times(MaxTimeouts, c.Timeout), ended, w) {
		return cl.result(name, ErrClosed)
	}
	return cl.result(name, awaitLarge(ctx, c, t, cl.done))
}

// awaitLarge waits for longer than Timeout, as long as the server answers other calls: the values may be large, or Redis busy. It
// returns an error if the call isn't done when ctx or MaxTimeouts end, or the server answers nothing.
func awaitLarge(ctx context.Context, c *Caller, t target, done <-chan struct{}) error {
	early := c.Timeout / 4 // so that there is time to answer
	timer := c.timers.get(early)
	defer c.timers.put(timer)
	began := mono.Now()
	last := began.Add(mono.Times(MaxTimeouts, c.Timeout))
	asked, waited := false, false
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		next, at := early, mono.Now()
		switch {
		case at >= last:
			return context.DeadlineExceeded
		case !asked:
			t.Breaker.probeSoon(t.client)
			asked, next = true, c.Timeout-early
		case t.Breaker.answeredSince(began):
			began, asked, waited = at, false, false
		case !waited && t.Breaker.probing.Load(): // the probe has a Timeout of its own
			waited = true
		default:
			return context.DeadlineExceeded
		}
		timer.Reset(min(next, last.Since(at)))
	}
}
