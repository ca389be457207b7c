//go:build !windows

package outage

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// database is the source of all processes.
type database struct {
	clock clock

	mu       sync.Mutex
	rng      *rand.Rand
	versions map[string]uint64
	mode     sourceMode
	loads    []load
	faults   []span // when the source failed
}

// load is a load of one key.
type load struct {
	process int
	config  *cacheConfig
	key     string
	span
}

// sourceMode says how the source fails. The zero sourceMode works.
type sourceMode struct {
	fails float64       // the share of loads that fail
	takes time.Duration // how long most loads take; 0: about a millisecond
	hangs bool          // no load returns before its context ends
}

var errSource = errors.New("the source failed")

func newDatabase(c clock, seed uint64) *database {
	return &database{clock: c, rng: rand.New(rand.NewPCG(seed, 7)), versions: make(map[string]uint64)}
}

// takeLoads returns the loads, and when the source failed. It drops the loads, which would count as memory usage. The caches
// may still start background loads.
func (d *database) takeLoads() (loads []load, spells []span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	loads, d.loads = d.loads, nil
	return loads, d.faults
}

// setMode makes the source fail. The returned function ends that.
func (d *database) setMode(w sourceMode) (end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode = w
	start := d.clock.now()
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mode = sourceMode{}
		d.faults = append(d.faults, span{start, d.clock.now()})
	}
}

// newVersion increments the key's version and returns it.
func (d *database) newVersion(key string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.versions[key]++
	return d.versions[key]
}

// get loads the keys for a cache of a process in one query.
func (d *database) get(ctx context.Context, process int, m *cacheConfig, keys ...string) (map[string]Value, error) {
	start := d.clock.now()
	fails, takes := d.outcome()
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

// outcome returns whether a load fails, and how long it takes; a negative duration: until its context ends.
func (d *database) outcome() (fails bool, takes time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.mode
	takes = time.Duration(min(4, d.rng.ExpFloat64()) * float64(time.Millisecond))
	switch {
	case w.hangs:
		return false, -1
	case w.takes > 0:
		return false, w.takes/2 + time.Duration(d.rng.Int64N(int64(w.takes)))
	}
	return d.rng.Float64() < w.fails, takes
}
