package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// traceKey is the context key of an operation that a recorder has seen begin.
type traceKey struct{}

// operation is a load, a call of Redis or a wait that a recorder has seen.
type operation struct {
	kind   string // "load", "redis" or "wait"
	parent *operation
	caller any // the caller's value
	load   tiered.LoadInfo
	redis  tiered.RedisInfo
	wait   tiered.WaitInfo
	err    error
	ended  bool
}

// callerKey is the context key of a caller's value.
type callerKey struct{}

// recorder records what a cache reports to its Trace, and fails the test if an end has no beginning, or a second one.
type recorder struct {
	t      testing.TB
	mu     sync.Mutex
	all    []*operation
	events []string
}

// trace returns a Trace whose events the recorder records.
func (r *recorder) trace() *tiered.Trace {
	return &tiered.Trace{
		LoadStart: func(ctx context.Context, l tiered.LoadInfo) context.Context {
			return r.began(ctx, &operation{kind: "load", load: l}, "load")
		},
		LoadDone: func(ctx context.Context, keys []string, took time.Duration, err error) {
			r.ended(ctx, "load", "load", func(o *operation) {
				if o.err = err; fmt.Sprint(keys) != fmt.Sprint(o.load.Keys) || took < 0 {
					r.t.Errorf("LoadDone of %q after %v, LoadStart of %q", keys, took, o.load.Keys)
				}
			})
		},
		RedisStart: func(ctx context.Context, i tiered.RedisInfo) context.Context {
			return r.began(ctx, &operation{kind: "redis", redis: i}, i.Step)
		},
		RedisDone: func(ctx context.Context, i tiered.RedisInfo) {
			r.ended(ctx, "redis", i.Step, func(o *operation) {
				if i.Step != o.redis.Step || i.Addr != o.redis.Addr || i.Keys != o.redis.Keys || i.Sent != o.redis.Sent || (i.Failed > 0) != (i.Err != nil) {
					r.t.Errorf("RedisDone of %+v, RedisStart of %+v", i, o.redis)
				}
				o.redis, o.err = i, i.Err
			})
		},
		WaitStart: func(ctx context.Context, w tiered.WaitInfo) context.Context {
			return r.began(ctx, &operation{kind: "wait", wait: w}, "wait")
		},
		WaitDone: func(ctx context.Context, w tiered.WaitInfo) {
			r.ended(ctx, "wait", "wait", func(o *operation) { o.wait, o.err = w, w.Err })
		},
	}
}

func (r *recorder) began(ctx context.Context, o *operation, name string) context.Context {
	o.parent, _ = ctx.Value(traceKey{}).(*operation)
	o.caller = ctx.Value(callerKey{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, o)
	r.events = append(r.events, "+"+name)
	return context.WithValue(ctx, traceKey{}, o)
}

func (r *recorder) ended(ctx context.Context, kind, name string, end func(*operation)) {
	o, _ := ctx.Value(traceKey{}).(*operation)
	r.mu.Lock()
	defer r.mu.Unlock()
	if o == nil || o.kind != kind || o.ended {
		r.t.Errorf("the end of a %s (%s) that hasn't begun: %+v", kind, name, o)
		return
	}
	o.ended = true
	r.events = append(r.events, "-"+name)
	end(o)
}

// of returns the operations of a kind for which pick is true; a nil pick is true for all. All operations must have ended.
func (r *recorder) of(kind string, pick func(*operation) bool) (some []*operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.all {
		if !o.ended {
			r.t.Errorf("%s has no end: %+v", o.kind, o)
		}
		if o.kind == kind && (pick == nil || pick(o)) {
			some = append(some, o)
		}
	}
	return some
}

// loads returns how many loads have begun.
func (r *recorder) loads() (n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.all {
		if o.kind == "load" {
			n++
		}
	}
	return n
}

// reset forgets what was recorded.
func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.events = nil, nil
}

// order returns what began (+) and ended (-), in this order.
func (r *recorder) order() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.events)
}

// settled returns once all that has begun has ended.
func (r *recorder) settled(t testing.TB) {
	t.Helper()
	waitFor(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, o := range r.all {
			if !o.ended {
				return false
			}
		}
		return true
	})
}

// agrees compares what was recorded with the cache's counters. All of the cache's reads and writes must have been recorded.
func (r *recorder) agrees(t testing.TB, s tiered.Stats) {
	t.Helper()
	waits := r.of("wait", func(o *operation) bool { return !o.wait.Process })
	failedLoads := r.of("load", func(o *operation) bool { return o.err != nil })
	failed := 0
	for _, o := range r.of("redis", func(o *operation) bool { return !errors.Is(o.err, context.Canceled) }) {
		failed += o.redis.Failed
	}
	loads := r.of("load", nil)
	if uint64(len(loads)) != s.Loads || uint64(len(waits)) != s.Collapsed || uint64(failed) != s.RedisErrors || uint64(len(failedLoads)) != s.LoadErrors {
		t.Errorf("recorded %d loads, %d failed, %d waits, %d failed keys; Stats has %d, %d, %d, %d",
			len(loads), len(failedLoads), len(waits), failed, s.Loads, s.LoadErrors, s.Collapsed, s.RedisErrors)
	}
}
