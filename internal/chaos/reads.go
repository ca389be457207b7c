//go:build !windows

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

func (a *actor) intent() *intent {
	in := &intent{tags: a.someTags(3), panics: a.rng.IntN(100) == 0}
	if a.Options.focus().untagged {
		in.tags = nil
	}
	if a.rng.IntN(5) == 0 {
		in.ttl = 300*time.Millisecond + time.Duration(a.rng.Int64N(int64(time.Second)))
	}
	return in
}

// read calls f, which reads the key, and records the read. The key's memory is reused afterwards.
func (a *actor) read(m *instance, key string, f func(lent string) (Value, tiered.Tier, error)) {
	op := a.op(m, history.Read, key)
	lent, reuse := a.keys.lend(key)
	op.Start = history.Clock()
	v, tier, err := f(lent[0])
	reuse()
	if err == nil {
		op.Value, op.Tier = v.ID, history.Tier(tier) // the numbers are the same
	}
	a.journal.end(err == nil, op)
}

func (a *actor) lookup(ctx context.Context, m *instance) { a.lookUp(ctx, m, a.key()) }

func (a *actor) lookUp(ctx context.Context, m *instance, key string) {
	a.read(m, key, func(lent string) (Value, tiered.Tier, error) {
		e, err := m.cache.Lookup(ctx, lent)
		if err == nil && !e.Found {
			err = errors.New("an entry without a value and no error")
		}
		return e.Value, e.Tier, err
	})
}

// burst reads a key many times without a pause, to catch states that last for a moment only.
func (a *actor) burst(ctx context.Context, m *instance) {
	key := a.key()
	for range 20 {
		a.lookUp(ctx, m, key)
	}
}

func (a *actor) getOrLoad(ctx context.Context, m *instance) {
	in := a.intent()
	load := a.loader(m, in)
	a.read(m, a.key(), func(lent string) (Value, tiered.Tier, error) {
		v, err := recoverLoaderPanic(func() (Value, error) { return m.cache.GetOrLoad(ctx, lent, load) })
		in.reuse(err)
		return v, 0, err
	})
}

// hotKey asks for a key that all workers ask for at the same moment, and never again: a cold key with many callers, which
// is never written.
func (a *actor) hotKey(ctx context.Context, m *instance) {
	const moment = 250 * time.Millisecond
	key, load := fmt.Sprintf("moment-%d", history.Clock()/int64(moment)), a.loader(m, &intent{})
	a.read(m, key, func(lent string) (Value, tiered.Tier, error) {
		v, err := recoverLoaderPanic(func() (Value, error) { return m.cache.GetOrLoad(ctx, lent, load) })
		return v, 0, err
	})
}

// impatient makes a call whose context may end before its load does.
func (a *actor) impatient(ctx context.Context, m *instance) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.rng.Int64N(int64(20*time.Millisecond))))
	defer cancel()
	a.getOrLoad(ctx, m)
}

func (a *actor) refresh(ctx context.Context, m *instance) {
	in := a.intent()
	in.refresh = true
	load := a.loader(m, in)
	a.read(m, a.key(), func(lent string) (Value, tiered.Tier, error) {
		v, err := recoverLoaderPanic(func() (Value, error) { return m.cache.Refresh(ctx, lent, load) })
		in.reuse(err)
		return v, 0, err
	})
}

// readMany calls f, which reads a batch, and records a read for each value. The keys' memory is reused afterwards.
func (a *actor) readMany(m *instance, keys []string, f func(lent []string) (map[string]Value, error)) {
	lent, reuse := a.keys.lend(keys...)
	start := history.Clock()
	values, _ := recoverLoaderPanic(func() (map[string]Value, error) { return f(lent) }) // values returned with an error count, too
	var ops []*history.Op
	for key, v := range values {
		op := a.op(m, history.Read, strings.Clone(key)) // it may be in reused memory
		op.Start, op.Value = start, v.ID
		ops = append(ops, op)
	}
	reuse()
	a.journal.end(true, ops...)
}

func (a *actor) getMany(ctx context.Context, m *instance) {
	a.readMany(m, a.someKeys(12), func(lent []string) (map[string]Value, error) { return m.cache.GetMany(ctx, lent...) })
}

func (a *actor) getOrLoadMany(ctx context.Context, m *instance) {
	load := a.batchLoader(m)
	a.readMany(m, a.someKeys(12), func(lent []string) (map[string]Value, error) {
		return tiered.GetOrLoadMany(ctx, m.cache, lent, func(key string) string { return key }, load)
	})
}

// recoverLoaderPanic turns a loader's panic into an error.
func recoverLoaderPanic[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		thrown := recover()
		if thrown == nil {
			return
		}
		p, ok := thrown.(*tiered.LoaderPanic)
		if !ok || !errors.Is(p, errPanic) {
			panic(thrown)
		}
		err = p
	}()
	return f()
}
