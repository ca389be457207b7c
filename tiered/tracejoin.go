package tiered

import (
	"context"
	"time"
)

// Join returns a Trace that calls t's functions and next's. At a beginning t is first, and next gets the context that t has made; at
// an end next is first. Each Done gets the context that its own Start has made. t and next may be nil.
func (t *Trace) Join(next *Trace) *Trace {
	switch {
	case t == nil:
		return next
	case next == nil:
		return t
	}
	loadStart, loadOf := joinStarts(t.LoadStart, next.LoadStart)
	redisStart, redisOf := joinStarts(t.RedisStart, next.RedisStart)
	waitStart, waitOf := joinStarts(t.WaitStart, next.WaitStart)
	return &Trace{
		LoadStart:   loadStart,
		LoadDone:    joinLoadDone(next.LoadDone, t.LoadDone, loadOf),
		RedisStart:  redisStart,
		RedisDone:   join(next.RedisDone, inContext(t.RedisDone, redisOf)),
		WaitStart:   waitStart,
		WaitDone:    join(next.WaitDone, inContext(t.WaitDone, waitOf)),
		StaleServed: joinStaleServed(t.StaleServed, next.StaleServed),
		Breaker:     join(t.Breaker, next.Breaker),
		CodecError:  join(t.CodecError, next.CodecError),
		Queued:      join(t.Queued, next.Queued),
	}
}

// joinKey is the key of the context that the first of two Start functions made.
type joinKey struct{ _ byte }

// joinStarts joins two Start functions. firstOf returns the context that the first made, from the one that both made.
func joinStarts[I any](first, second func(context.Context, I) context.Context) (
	start func(context.Context, I) context.Context, firstOf func(context.Context) context.Context) {
	same := func(ctx context.Context) context.Context { return ctx }
	switch {
	case first == nil:
		return second, same
	case second == nil:
		return first, same
	}
	key := new(joinKey)
	start = func(ctx context.Context, info I) context.Context {
		made := startTraced(ctx, first, info)
		return context.WithValue(startTraced(made, second, info), key, made)
	}
	return start, func(ctx context.Context) context.Context {
		if made, ok := ctx.Value(key).(context.Context); ok {
			return made
		}
		return ctx
	}
}

// inContext returns done with the context that of returns.
func inContext[I any](done func(context.Context, I), of func(context.Context) context.Context) func(context.Context, I) {
	if done == nil {
		return nil
	}
	return func(ctx context.Context, info I) { done(of(ctx), info) }
}

func join[A, B any](first, second func(A, B)) func(A, B) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(a A, b B) {
		defer second(a, b) // also if the first panics
		first(a, b)
	}
}

func joinLoadDone(first, second func(context.Context, []string, time.Duration, error), secondOf func(context.Context) context.Context) func(context.Context, []string, time.Duration, error) {
	switch {
	case second == nil:
		return first
	case first == nil:
		first = func(context.Context, []string, time.Duration, error) {}
	}
	return func(ctx context.Context, keys []string, took time.Duration, err error) {
		defer second(secondOf(ctx), keys, took, err)
		first(ctx, keys, took, err)
	}
}

func joinStaleServed(first, second func(context.Context, string, error)) func(context.Context, string, error) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, key string, cause error) {
		defer second(ctx, key, cause)
		first(ctx, key, cause)
	}
}

// startTraced returns the context that a Start function returns, or ctx if there is none.
func startTraced[I any](ctx context.Context, start func(context.Context, I) context.Context, info I) context.Context {
	if start != nil {
		if made := start(ctx, info); made != nil {
			return made
		}
	}
	return ctx
}
