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

// actor is one of a worker's goroutines at work.
type actor struct {
	*worker
	rng  *rand.Rand
	zipf *rand.Zipf
	keys memory
	tags memory
}

// labour has the actors work until ctx ends.
func (w *worker) labour(ctx context.Context) {
	var actors sync.WaitGroup
	actors.Go(func() { w.watch(ctx) })
	for i := range w.Options.Goroutines {
		rng := rand.New(rand.NewPCG(w.Options.Seed, uint64(w.incarnation)<<32|uint64(i)))
		a := &actor{worker: w, rng: rng, zipf: rand.NewZipf(rng, 1.1, 8, uint64(w.Options.Keys-1))}
		actors.Go(func() { a.act(ctx) })
	}
	actors.Wait()
}

// act is something that actors do.
type act struct {
	name   string
	weight int
	do     func(*actor, context.Context, *member)
}

// acts are what actors do, and how often among 10,000.
var acts = []act{
	{"lookup", 3400, (*actor).lookup},
	{"getOrLoad", 3000, (*actor).getOrLoad},
	{"crowd", 200, (*actor).crowd},
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

// rareActs are what actors do in some focuses only.
var rareActs = []act{
	{"rewrite", 0, (*actor).rewrite},
}

func (a *actor) act(ctx context.Context) {
	todo, total := a.Options.acts()
	members := a.Options.members(a.members)
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

// read notes a read, which f makes of the key as it is lent to the cache.
func (a *actor) read(m *member, key string, f func(lent string) (Value, tiered.Tier, error)) {
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

func (a *actor) lookup(ctx context.Context, m *member) { a.lookUp(ctx, m, a.key()) }

func (a *actor) lookUp(ctx context.Context, m *member, key string) {
	a.read(m, key, func(lent string) (Value, tiered.Tier, error) {
		e, err := m.cache.Lookup(ctx, lent)
		if err == nil && !e.Found {
			err = errors.New("an entry without a value and no error")
		}
		return e.Value, e.Tier, err
	})
}

// burst reads without a pause, so as to meet what lasts for a moment only.
func (a *actor) burst(ctx context.Context, m *member) {
	key := a.key()
	for range 20 {
		a.lookUp(ctx, m, key)
	}
}

func (a *actor) getOrLoad(ctx context.Context, m *member) {
	in := a.intent()
	load := a.loader(m, in)
	a.read(m, a.key(), func(lent string) (Value, tiered.Tier, error) {
		v, err := survive(func() (Value, error) { return m.cache.GetOrLoad(ctx, lent, load) })
		in.reuse(err)
		return v, 0, err
	})
}

// crowd asks for what everybody asks for at the moment, that nobody writes, and that nobody will ask for again: the cold
// key with many callers.
func (a *actor) crowd(ctx context.Context, m *member) {
	const moment = 250 * time.Millisecond
	key, load := fmt.Sprintf("moment-%d", history.Clock()/int64(moment)), a.loader(m, &intent{})
	a.read(m, key, func(lent string) (Value, tiered.Tier, error) {
		v, err := survive(func() (Value, error) { return m.cache.GetOrLoad(ctx, lent, load) })
		return v, 0, err
	})
}

// impatient is a caller that may leave before its load is over.
func (a *actor) impatient(ctx context.Context, m *member) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.rng.Int64N(int64(20*time.Millisecond))))
	defer cancel()
	a.getOrLoad(ctx, m)
}

func (a *actor) refresh(ctx context.Context, m *member) {
	in := a.intent()
	in.refresh = true
	load := a.loader(m, in)
	a.read(m, a.key(), func(lent string) (Value, tiered.Tier, error) {
		v, err := survive(func() (Value, error) { return m.cache.Refresh(ctx, lent, load) })
		in.reuse(err)
		return v, 0, err
	})
}

// readMany notes a read for every value of a batch, which f makes of the keys as they are lent to the cache.
func (a *actor) readMany(m *member, keys []string, f func(lent []string) (map[string]Value, error)) {
	lent, reuse := a.keys.lend(keys...)
	start := history.Clock()
	values, _ := survive(func() (map[string]Value, error) { return f(lent) }) // what came beside an error counts
	var ops []*history.Op
	for key, v := range values {
		op := a.op(m, history.Read, strings.Clone(key)) // which may be one that was lent
		op.Start, op.Value = start, v.ID
		ops = append(ops, op)
	}
	reuse()
	a.journal.end(true, ops...)
}

func (a *actor) getMany(ctx context.Context, m *member) {
	a.readMany(m, a.someKeys(12), func(lent []string) (map[string]Value, error) { return m.cache.GetMany(ctx, lent...) })
}

func (a *actor) getOrLoadMany(ctx context.Context, m *member) {
	load := a.batchLoader(m)
	a.readMany(m, a.someKeys(12), func(lent []string) (map[string]Value, error) {
		return tiered.GetOrLoadMany(ctx, m.cache, lent, func(key string) string { return key }, load)
	})
}

// survive makes an error of a loader's panic.
func survive[T any](f func() (T, error)) (v T, err error) {
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
