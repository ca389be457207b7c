//go:build !windows

package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

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
	todo, total := actsOf(a.Options)
	members := instancesOf(a.Options, a.instances)
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

// actsOf returns the acts of a run, and the sum of their weights. It isn't a method of Options, nor are instancesOf and faultsOf:
// whoever uses the type would compile all that these refer to, like the caches.
func actsOf(o Options) (todo []act, total int) {
	todo = acts
	if o.Focus != "" {
		todo = nil
		weights := o.focus().acts
		for _, act := range slices.Concat(acts, rareActs) {
			if act.weight = weights[act.name]; act.weight > 0 {
				todo = append(todo, act)
			}
		}
	}
	for _, act := range todo {
		total += act.weight
	}
	return todo, total
}

// instancesOf returns those of a worker's caches that a run uses.
func instancesOf(o Options, all []*instance) []*instance {
	places := o.focus().caches
	if places == nil {
		return all
	}
	some := make([]*instance, len(places))
	for i, at := range places {
		some[i] = all[at]
	}
	return some
}
