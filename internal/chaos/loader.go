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
		overlaps := w.overlaps(op)
		if in.refresh { // at once: the worker may be killed during the load
			overlaps[0].End = op.Start + int64(loadTimeout)
			w.journal.begun(overlaps[0])
		}
		ok := false
		defer func() {
			in.loaded.Store(true)
			w.journal.end(ok, op)
			if in.refresh || ctx.Err() != nil {
				w.journal.end(false, overlaps...)
			}
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

// batchLoader returns a loader for a call of GetOrLoadMany that begins now. It can't set tags.
func (w *worker) batchLoader(m *instance) func(context.Context, []string) (map[string]Value, error) {
	called := history.Clock()
	return func(ctx context.Context, keys []string) (map[string]Value, error) {
		ops := make([]*history.Op, len(keys))
		values := make(map[string]Value, len(keys))
		for i, key := range keys {
			ops[i] = w.op(m, history.Load, key)
			ops[i].Called = called
			values[key] = newValue(ops[i].ID)
		}
		w.journal.begin(ops...)
		err := w.source.load(ctx, ops[0].ID)
		w.journal.end(err == nil, ops...)
		if ctx.Err() != nil {
			w.journal.end(false, w.overlaps(ops...)...)
		}
		switch {
		case errors.Is(err, tiered.ErrNotFound):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return values, nil
	}
}

// overlaps returns operations that say, once they are in the journal, that other loads of the loads' keys may run beside them: a Refresh
// supersedes a running load, and a load that timed out was abandoned a moment before its loader returned. Each is a failed Expire, which
// means just that to the checker.
func (w *worker) overlaps(loads ...*history.Op) []*history.Op {
	ops := make([]*history.Op, len(loads))
	for i, load := range loads {
		ops[i] = &history.Op{ID: w.next(), Process: load.Process, Kind: history.Expire, Key: load.Key, Start: load.Start}
	}
	return ops
}
