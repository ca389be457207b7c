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

// intent is what a loader does beside asking the source. It is drawn before the load, which may outlive its caller.
type intent struct {
	tags    []string
	ttl     time.Duration // 0: the policy's
	panics  bool
	refresh bool

	lent   memory      // has the tags as the loader sets them
	loaded atomic.Bool // the loader has returned
}

// reuse overwrites the tags that a loader has set, when the call that it was for has returned. If that failed, its load may not
// be over yet.
func (in *intent) reuse(err error) {
	if err == nil && in.loaded.Load() {
		in.lent.overwrite()
	}
}

var errPanic = errors.New("a loader that panics")

// loader returns one for GetOrLoad and Refresh.
func (w *worker) loader(m *member, in *intent) tiered.Loader[Value] {
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

// batchLoader returns one for GetOrLoadMany, which has no way to set tags.
func (w *worker) batchLoader(m *member) func(context.Context, []string) (map[string]Value, error) {
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

// mayOverlap notes loads that another may run beside: a Refresh supersedes what is under way, and a loader that is out
// of time has been given up a moment before it ends. An Expire that failed tells the checker no more than that.
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
