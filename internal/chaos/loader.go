//go:build !windows

package chaos

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

// intent is what a loader does besides asking the source. It is drawn before the load, which may outlive its caller.
type intent struct {
	tags    []string
	ttl     time.Duration // 0: the policy's
	panics  bool
	refresh bool

	lent   reusedMemory // holds the tags that the loader sets
	loaded atomic.Bool  // the loader has returned
}

// reuse overwrites the tags that a loader has set, after the call with that loader has returned. If the call failed, its load
// may not be over yet, and reuse does nothing.
func (in *intent) reuse(err error) {
	if err == nil && in.loaded.Load() {
		in.lent.overwrite()
	}
}

var errPanic = errors.New("a loader that panics")

// loader returns a loader for GetOrLoad and Refresh.
func (w *worker) loader(m *instance, in *intent) tiered.Loader[Value] {
	return func(ctx context.Context, e *tiered.Entry[Value]) (v Value, err error) {
		op := w.op(m, history.Load, e.Key)
		op.Tags = in.tags
		w.journal.begin(op)
		ok := false
		defer func() {
			in.loaded.Store(true)
			w.journal.end(ok, op)
			w.mayOverlap(ctx, in.refresh, op)
		}()
		err = w.source.load(ctx, op.ID)
		if in.panics {
			panic(errPanic)
		}
		e.Tags, _ = in.lent.lend(in.tags...)
		if in.ttl > 0 {
			e.Policy.TTL = in.ttl
		}
		ok = err == nil
		return newValue(op.ID), err
	}
}

// batchLoader returns a loader for GetOrLoadMany, which can't set tags.
func (w *worker) batchLoader(m *instance) func(context.Context, []string) (map[string]Value, error) {
	return func(ctx context.Context, keys []string) (map[string]Value, error) {
		ops := make([]*history.Op, len(keys))
		values := make(map[string]Value, len(keys))
		for i, key := range keys {
			ops[i] = w.op(m, history.Load, key)
			values[key] = newValue(ops[i].ID)
		}
		w.journal.begin(ops...)
		err := w.source.load(ctx, ops[0].ID)
		w.journal.end(err == nil, ops...)
		w.mayOverlap(ctx, false, ops...)
		switch {
		case errors.Is(err, tiered.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return values, nil
	}
}

// mayOverlap records loads during which another load of the key is allowed: a Refresh supersedes a running load, and a load
// that timed out was abandoned a moment before its loader returned. It records a failed Expire, which means just that to the checker.
func (w *worker) mayOverlap(ctx context.Context, refresh bool, loads ...*history.Op) {
	if !refresh && ctx.Err() == nil {
		return
	}
	for _, load := range loads {
		w.journal.log.Append(history.Op{
			ID: w.next(), Process: load.Process, Kind: history.Expire, Key: load.Key, Start: load.Start, End: load.End,
		})
	}
}
