//go:build !windows

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// write calls f, which writes the keys, and records the write. The keys' memory is reused afterwards.
func (a *actor) write(m *instance, kind history.Kind, keys []string, f func(lent []string) error) {
	ops := make([]*history.Op, len(keys))
	for i, key := range keys {
		ops[i] = a.op(m, kind, key)
	}
	lent, reuse := a.keys.lend(keys...)
	a.noteWrite(ops, func() error { return f(lent) })
	reuse()
}

func (a *actor) noteWrite(ops []*history.Op, f func() error) {
	a.journal.begin(ops...)
	err := f()
	a.journal.end(err == nil, ops...)
}

func (a *actor) delete(ctx context.Context, m *instance) {
	keys := a.someKeys(4)
	a.write(m, history.Delete, keys, func(lent []string) error { return m.cache.Delete(ctx, lent...) })
}

func (a *actor) expire(ctx context.Context, m *instance) {
	keys := a.someKeys(3)
	a.write(m, history.Expire, keys, func(lent []string) error { return m.cache.Expire(ctx, lent...) })
}

func (a *actor) set(ctx context.Context, m *instance) {
	op := a.op(m, history.Set, a.key())
	op.Tags = a.someTags(3)
	a.setOne(ctx, m, op)
}

func (a *actor) setOne(ctx context.Context, m *instance, op *history.Op) {
	key, reuseKey := a.keys.lend(op.Key)
	tags, reuseTags := a.tags.lend(op.Tags...)
	a.noteWrite([]*history.Op{op}, func() error { return m.cache.Set(ctx, key[0], newValue(op.ID), tags...) })
	reuseKey()
	reuseTags()
}

// rewrite sets a key twice, with a pause that is just long enough for others to read it.
func (a *actor) rewrite(ctx context.Context, m *instance) {
	key := a.key()
	for range 2 {
		a.setOne(ctx, m, a.op(m, history.Set, key))
		pause(ctx, time.Duration(a.rng.Int64N(int64(10*time.Millisecond))))
	}
}

func (a *actor) setMany(ctx context.Context, m *instance) {
	values := make(map[string]Value)
	keys, tags := a.someKeys(6), a.someTags(2)
	lent, reuseKeys := a.keys.lend(keys...)
	lentTags, reuseTags := a.tags.lend(tags...)
	var ops []*history.Op
	for i, key := range keys {
		op := a.op(m, history.Set, key)
		op.Tags = tags
		values[lent[i]] = newValue(op.ID)
		ops = append(ops, op)
	}
	a.noteWrite(ops, func() error { return m.cache.SetMany(ctx, values, lentTags...) })
	reuseKeys()
	reuseTags()
}

func (a *actor) invalidateTags(ctx context.Context, m *instance) {
	a.changeTags(m, func(lent []string) error { return m.cache.InvalidateTags(ctx, lent...) })
}

// expireTags is recorded as an invalidation: no policy here serves stale values.
func (a *actor) expireTags(ctx context.Context, m *instance) {
	a.changeTags(m, func(lent []string) error { return m.cache.ExpireTags(ctx, lent...) })
}

// changeTags calls f, which invalidates tags, and records that. The tags' memory is reused afterwards.
func (a *actor) changeTags(m *instance, f func(lent []string) error) {
	op := a.op(m, history.InvalidateTags, "")
	op.Tags = append(a.someTags(1), fmt.Sprintf("tag-%02d", a.rng.IntN(a.Options.Tags)))
	lent, reuse := a.tags.lend(op.Tags...)
	a.noteWrite([]*history.Op{op}, func() error { return f(lent) })
	reuse()
}

func (a *actor) clear(ctx context.Context, m *instance) {
	a.noteWrite([]*history.Op{a.op(m, history.Clear, "")}, func() error { return m.cache.Clear(ctx) })
}

// expireAll is recorded as a Clear: no policy here serves stale values.
func (a *actor) expireAll(ctx context.Context, m *instance) {
	a.noteWrite([]*history.Op{a.op(m, history.Clear, "")}, func() error { return m.cache.ExpireAll(ctx) })
}
