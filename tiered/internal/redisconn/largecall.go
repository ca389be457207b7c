package redisconn

import (
	"context"
	"time"

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

// callLarge is Call for a call that sends or receives much. It may take MaxTimeouts while the server answers others.
func callLarge[R any](ctx context.Context, t target, name string, ended func(), f func(context.Context) (R, error)) (R, error) {
	c := t.Breaker.caller
	ctx, cancel := context.WithTimeout(ctx, mono.Times(MaxTimeouts, c.Timeout))
	defer cancel()
	results, err := begin(ctx, c, ended, f)
	if err != nil {
		var none R
		return none, err
	}
	if got, arrived := awaitLarge(ctx, c, t, results); arrived {
		return got.of(name)
	}
	return latest(ctx, name, results)
}

// awaitLarge waits for longer than Timeout, as long as the server answers other calls: the values may be large, or Redis busy. It
// returns false if ctx ends, or the server answers nothing.
func awaitLarge[R any](ctx context.Context, c *Caller, t target, results <-chan R) (got R, arrived bool) {
	early := c.Timeout / 4 // so that there is time to answer
	timer := time.NewTimer(early)
	defer timer.Stop()
	began := mono.Now()
	asked, waited := false, false
	for {
		select {
		case got = <-results:
			return got, true
		case <-ctx.Done():
			return got, false
		case <-timer.C:
		}
		switch {
		case !asked:
			t.Breaker.probeSoon(t.client)
			asked = true
			timer.Reset(c.Timeout - early)
		case t.Breaker.answeredSince(began):
			began, asked, waited = mono.Now(), false, false
			timer.Reset(early)
		case !waited && t.Breaker.probing.Load(): // the probe has a Timeout of its own
			waited = true
			timer.Reset(early)
		default:
			return got, false
		}
	}
}
