package tiered

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// How a cache calls the functions of its Trace for loads, calls of Redis and waits, so that each beginning has an end. job.go and
// await.go say when.

// redisTrace returns the trace's functions for calls of Redis; nil: there are none.
func (c *core[T]) redisTrace() *redisconn.Trace {
	t := c.trace
	if t == nil || t.RedisStart == nil && t.RedisDone == nil {
		return nil
	}
	return &redisconn.Trace{
		Start: func(ctx context.Context, i redisconn.CallInfo) context.Context {
			c.guard(func() { ctx = startTraced(ctx, t.RedisStart, RedisInfo(i)) })
			return ctx
		},
		Done: func(ctx context.Context, i redisconn.CallInfo) {
			if t.RedisDone != nil {
				c.guard(func() { t.RedisDone(ctx, RedisInfo(i)) })
			}
		},
	}
}

// guard calls functions of the trace in goroutines that a panic must not end.
func (c *core[T]) guard(call func()) {
	defer func() {
		if v := recover(); v != nil {
			c.logUncaught(&c.badHooks, "tiered: a function of the Trace panicked", "", fmt.Errorf("%v\n\n%s", v, debug.Stack()))
		}
	}()
	call()
}

// traceLoad calls load between the trace's LoadStart and LoadDone. It returns the context that load got.
func (t *Trace) traceLoad(ctx context.Context, l LoadInfo, load func(context.Context) error) (loadCtx context.Context, err error) {
	ctx = startTraced(ctx, t.LoadStart, l)
	if t.LoadDone == nil {
		return ctx, load(ctx)
	}
	began, returned := time.Now(), false
	defer func() {
		if returned {
			return
		}
		thrown := recover()
		err := panicError(thrown)
		t.LoadDone(ctx, l.Keys, time.Since(began), err)
		if thrown != nil {
			panic(err)
		}
	}()
	err = load(ctx)
	returned = true
	t.LoadDone(ctx, l.Keys, time.Since(began), err)
	return ctx, err
}

// tracedWait is a wait whose beginning was reported to the trace. A nil *tracedWait isn't reported.
type tracedWait struct {
	ctx   context.Context
	info  WaitInfo
	began mono.Instant
}

// hasWaits reports whether the trace has functions for waits. It may be nil.
func (t *Trace) hasWaits() bool { return t != nil && (t.WaitStart != nil || t.WaitDone != nil) }

// beginWait reports the beginning of a wait; nil: the trace has no functions for waits.
func (c *core[T]) beginWait(ctx context.Context, process bool, keys func() []string) *tracedWait {
	if !c.trace.hasWaits() {
		return nil
	}
	w := &tracedWait{ctx, WaitInfo{Keys: keys(), Process: process}, mono.Now()}
	c.guard(func() { w.ctx = startTraced(ctx, c.trace.WaitStart, w.info) })
	return w
}

// endWait reports the end of a wait.
func (c *core[T]) endWait(w *tracedWait, err error) {
	if w == nil || c.trace.WaitDone == nil {
		return
	}
	w.info.Took, w.info.Err = mono.Now().Since(w.began), err
	c.guard(func() { c.trace.WaitDone(w.ctx, w.info) })
}
