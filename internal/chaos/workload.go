//go:build !windows

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

// actor is one of the goroutines that call a worker's caches.
type actor struct {
	*worker
	rng  *rand.Rand
	zipf *rand.Zipf
	keys reusedMemory
	tags reusedMemory
}

// runActors runs the actors until ctx ends.
func (w *worker) runActors(ctx context.Context) {
	var actors sync.WaitGroup
	actors.Go(func() { w.watch(ctx) })
	for i := range w.Options.Goroutines {
		rng := rand.New(rand.NewPCG(w.Options.Seed, uint64(w.incarnation)<<32|uint64(i)))
		a := &actor{worker: w, rng: rng, zipf: rand.NewZipf(rng, 1.1, 8, uint64(w.Options.Keys-1))}
		actors.Go(func() { a.act(ctx) })
	}
	actors.Wait()
}

// act is a kind of call, or of a sequence of calls, that actors make.
type act struct {
	name   string
	weight int
	do     func(*actor, context.Context, *instance)
}

// acts are all of them but the rare ones. The weights add up to 10,000.
var acts = []act{
	{"lookup", 3400, (*actor).lookup},
	{"getOrLoad", 3000, (*actor).getOrLoad},
	{"hotKey", 200, (*actor).hotKey},
	{"getMany", 500, (*actor).getMany},
	{"getOrLoadMany", 500, (*actor).getOrLoadMany},
	{"burst", 800, (*actor).burst},
	{"impatient", 500, (*actor).impatient},
	{"delete", 300, (*actor).delete},
	{"set", 300, (*actor).set},
	{"setMany", 100, (*actor).setMany},
	{"expire", 100, (*actor).expire},
	{"refresh", 200, (*actor).refresh},
	{"invalidateTags", 68, (*actor).invalidateTags},
	{"expireTags", 28, (*actor).expireTags},
	{"clear", 2, (*actor).clear},
	{"expireAll", 2, (*actor).expireAll},
}

// rareActs are those that only some focuses have.
var rareActs = []act{
	{"rewrite", 0, (*actor).rewrite},
}

func (a *actor) act(ctx context.Context) {
	todo, total := a.Options.acts()
	members := a.Options.instances(a.instances)
	for ctx.Err() == nil {
		m := members[a.rng.IntN(len(members))]
		n := a.rng.IntN(total)
		for _, act := range todo {
			if n -= act.weight; n < 0 {
				act.do(a, ctx, m)
				break
			}
		}
		pause(ctx, time.Duration(a.rng.ExpFloat64()*float64(a.Options.Think)))
	}
}

// pause returns when d is over or ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (a *actor) key() string { return keyName(int(a.zipf.Uint64())) }

// someKeys returns up to n different keys.
func (a *actor) someKeys(n int) []string {
	seen := make(map[string]bool)
	var keys []string
	for range 1 + a.rng.IntN(n) {
		if key := a.key(); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

func (a *actor) someTags(n int) (tags []string) {
	for range a.rng.IntN(n + 1) {
		tags = append(tags, fmt.Sprintf("tag-%02d", a.rng.IntN(a.Options.Tags)))
	}
	return tags
}

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
