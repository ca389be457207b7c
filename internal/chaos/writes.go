//go:build !windows

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// write notes a write of keys, or of none.
func (a *actor) write(m *member, kind history.Kind, keys []string, f func() error) {
	ops := make([]*history.Op, len(keys))
	for i, key := range keys {
		ops[i] = a.op(m, kind, key)
	}
	a.noteWrite(ops, f)
}

func (a *actor) noteWrite(ops []*history.Op, f func() error) {
	a.journal.begin(ops...)
	err := f()
	a.journal.end(err == nil, ops...)
}

func (a *actor) delete(ctx context.Context, m *member) {
	keys := a.someKeys(4)
	a.write(m, history.Delete, keys, func() error { return m.cache.Delete(ctx, keys...) })
}

func (a *actor) expire(ctx context.Context, m *member) {
	keys := a.someKeys(3)
	a.write(m, history.Expire, keys, func() error { return m.cache.Expire(ctx, keys...) })
}

func (a *actor) set(ctx context.Context, m *member) {
	op := a.op(m, history.Set, a.key())
	op.Tags = a.someTags(3)
	a.noteWrite([]*history.Op{op}, func() error { return m.cache.Set(ctx, op.Key, newValue(op.ID), op.Tags...) })
}

// rewrite sets a key twice, with just enough of a pause for others to read it.
func (a *actor) rewrite(ctx context.Context, m *member) {
	key := a.key()
	for range 2 {
		op := a.op(m, history.Set, key)
		a.noteWrite([]*history.Op{op}, func() error { return m.cache.Set(ctx, key, newValue(op.ID)) })
		pause(ctx, time.Duration(a.rng.Int64N(int64(10*time.Millisecond))))
	}
}

func (a *actor) setMany(ctx context.Context, m *member) {
	values := make(map[string]Value)
	tags := a.someTags(2)
	var ops []*history.Op
	for _, key := range a.someKeys(6) {
		op := a.op(m, history.Set, key)
		op.Tags = tags
		values[key] = newValue(op.ID)
		ops = append(ops, op)
	}
	a.noteWrite(ops, func() error { return m.cache.SetMany(ctx, values, tags...) })
}

func (a *actor) invalidateTags(ctx context.Context, m *member) {
	op := a.op(m, history.InvalidateTags, "")
	op.Tags = append(a.someTags(1), fmt.Sprintf("tag-%02d", a.rng.IntN(a.Options.Tags)))
	a.noteWrite([]*history.Op{op}, func() error { return m.cache.InvalidateTags(ctx, op.Tags...) })
}

func (a *actor) clear(ctx context.Context, m *member) {
	a.noteWrite([]*history.Op{a.op(m, history.Clear, "")}, func() error { return m.cache.Clear(ctx) })
}
