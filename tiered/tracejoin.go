package tiered

import (
	"context"
	"time"
)

// Join returns a Trace that calls t's functions and next's. At a beginning t is first, and next gets the context that t has made; at
// an end next is first, and both get the context that next has made. t and next may be nil.
func (t *Trace) Join(next *Trace) *Trace {
	switch {
	case t == nil:
		return next
	case next == nil:
		return t
	}
	return &Trace{
		LoadStart:   joinStarts(t.LoadStart, next.LoadStart),
		LoadDone:    joinLoadDone(next.LoadDone, t.LoadDone),
		RedisStart:  joinStarts(t.RedisStart, next.RedisStart),
		RedisDone:   join(next.RedisDone, t.RedisDone),
		WaitStart:   joinStarts(t.WaitStart, next.WaitStart),
		WaitDone:    join(next.WaitDone, t.WaitDone),
		StaleServed: joinStaleServed(t.StaleServed, next.StaleServed),
		Breaker:     join(t.Breaker, next.Breaker),
		CodecError:  join(t.CodecError, next.CodecError),
		Queued:      join(t.Queued, next.Queued),
	}
}

func joinStarts[I any](first, second func(context.Context, I) context.Context) func(context.Context, I) context.Context {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, info I) context.Context {
		return startTraced(startTraced(ctx, first, info), second, info)
	}
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

func joinLoadDone(first, second func(context.Context, []string, time.Duration, error)) func(context.Context, []string, time.Duration, error) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, keys []string, took time.Duration, err error) {
		defer second(ctx, keys, took, err)
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
