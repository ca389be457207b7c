//go:build !windows

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// write notes a write of keys, which f makes with the keys as they are lent to the cache.
func (a *actor) write(m *member, kind history.Kind, keys []string, f func(lent []string) error) {
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

func (a *actor) delete(ctx context.Context, m *member) {
	keys := a.someKeys(4)
	a.write(m, history.Delete, keys, func(lent []string) error { return m.cache.Delete(ctx, lent...) })
}

func (a *actor) expire(ctx context.Context, m *member) {
	keys := a.someKeys(3)
	a.write(m, history.Expire, keys, func(lent []string) error { return m.cache.Expire(ctx, lent...) })
}

func (a *actor) set(ctx context.Context, m *member) {
	op := a.op(m, history.Set, a.key())
	op.Tags = a.someTags(3)
	a.setOne(ctx, m, op)
}

func (a *actor) setOne(ctx context.Context, m *member, op *history.Op) {
	key, reuseKey := a.keys.lend(op.Key)
	tags, reuseTags := a.tags.lend(op.Tags...)
	a.noteWrite([]*history.Op{op}, func() error { return m.cache.Set(ctx, key[0], newValue(op.ID), tags...) })
	reuseKey()
	reuseTags()
}

// rewrite sets a key twice, with just enough of a pause for others to read it.
func (a *actor) rewrite(ctx context.Context, m *member) {
	key := a.key()
	for range 2 {
		a.setOne(ctx, m, a.op(m, history.Set, key))
		pause(ctx, time.Duration(a.rng.Int64N(int64(10*time.Millisecond))))
	}
}

func (a *actor) setMany(ctx context.Context, m *member) {
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

func (a *actor) invalidateTags(ctx context.Context, m *member) {
	a.changeTags(m, func(lent []string) error { return m.cache.InvalidateTags(ctx, lent...) })
}

// expireTags is to the checker an invalidation: no policy here serves what is stale.
func (a *actor) expireTags(ctx context.Context, m *member) {
	a.changeTags(m, func(lent []string) error { return m.cache.ExpireTags(ctx, lent...) })
}

// changeTags notes an invalidation of tags, which f makes with the tags as they are lent to the cache.
func (a *actor) changeTags(m *member, f func(lent []string) error) {
	op := a.op(m, history.InvalidateTags, "")
	op.Tags = append(a.someTags(1), fmt.Sprintf("tag-%02d", a.rng.IntN(a.Options.Tags)))
	lent, reuse := a.tags.lend(op.Tags...)
	a.noteWrite([]*history.Op{op}, func() error { return f(lent) })
	reuse()
}

func (a *actor) clear(ctx context.Context, m *member) {
	a.noteWrite([]*history.Op{a.op(m, history.Clear, "")}, func() error { return m.cache.Clear(ctx) })
}

// expireAll is to the checker a Clear.
func (a *actor) expireAll(ctx context.Context, m *member) {
	a.noteWrite([]*history.Op{a.op(m, history.Clear, "")}, func() error { return m.cache.ExpireAll(ctx) })
}
