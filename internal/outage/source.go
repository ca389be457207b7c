//go:build !windows

package outage

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Value is what the source has, and the caches keep.
type Value struct {
	Key     string
	Version uint64
	Loaded  time.Duration // when its load ended, or its Set began
}

// database is the source. It is asked by all processes.
type database struct {
	clock clock

	mu       sync.Mutex
	rng      *rand.Rand
	versions map[string]uint64
	weather  weather
	loads    []load
	spells   []span // of bad weather
}

// load is one that the source was asked for.
type load struct {
	process int
	member  *member
	key     string
	span
}

// weather is how the source is.
type weather struct {
	fails float64       // the share of loads that fail
	takes time.Duration // what most loads take; 0: a moment
	hangs bool          // no load returns before its context ends
}

var errSource = errors.New("the source failed")

func newDatabase(c clock, seed uint64) *database {
	return &database{clock: c, rng: rand.New(rand.NewPCG(seed, 7)), versions: make(map[string]uint64)}
}

// take returns what the source was asked for, and when it was at fault, and forgets the loads, or they would count as usage.
// Refreshes of the caches' own may still come in.
func (d *database) take() (loads []load, spells []span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	loads, d.loads = d.loads, nil
	return loads, d.spells
}

// turn changes the weather. What it returns makes it fine again.
func (d *database) turn(w weather) (fine func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.weather = w
	start := d.clock.now()
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.weather = weather{}
		d.spells = append(d.spells, span{start, d.clock.now()})
	}
}

// bump makes a new version of the key.
func (d *database) bump(key string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.versions[key]++
	return d.versions[key]
}

// get loads the keys for a process's cache, in one query.
func (d *database) get(ctx context.Context, process int, m *member, keys ...string) (map[string]Value, error) {
	start := d.clock.now()
	fails, takes := d.fate()
	if takes < 0 {
		<-ctx.Done()
	} else {
		pause(ctx, takes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	values, at := make(map[string]Value, len(keys)), d.clock.now()
	for _, key := range keys {
		d.loads = append(d.loads, load{process, m, key, span{start, at}})
		values[key] = Value{key, d.versions[key], at}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case fails:
		return nil, errSource
	}
	return values, nil
}

// fate is what becomes of a load; less than 0: it takes for ever.
func (d *database) fate() (fails bool, takes time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.weather
	takes = time.Duration(min(4, d.rng.ExpFloat64()) * float64(time.Millisecond))
	switch {
	case w.hangs:
		return false, -1
	case w.takes > 0:
		return false, w.takes/2 + time.Duration(d.rng.Int64N(int64(w.takes)))
	}
	return d.rng.Float64() < w.fails, takes
}

// inject has the source be so for the time of the fault.
func (w weather) inject(in *injector) {
	defer in.source.turn(w)()
	in.hold(in.options.Time)
}
