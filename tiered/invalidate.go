package tiered

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// guard orders what this process does with one key: a value read or loaded before a write of the key must not be kept
// after it. A guard exists only while something is under way for its key.
//
// Under its shard's lock are the generation, which each write steps on when it begins and when it ends, so that a fill
// begun before can tell that it came too late; the flight that new callers join; and the number of holds.
// The turn is taken for the time of a Redis write, so that the writes of one key by this process, and what they
// leave in the local tier, are in the same order.
type guard[T any] struct {
	holds      int
	generation uint64
	flight     *flight[T]
	turn       chan struct{}
}

// hold is one interest in a guard, with the generation at which it began.
type hold[T any] struct {
	key        string
	hash       uint64
	guard      *guard[T]
	generation uint64
}

const guardShards = 64

type guards[T any] struct {
	local  *local[T]
	shards [guardShards]guardShard[T]
}

type guardShard[T any] struct {
	mu    sync.Mutex
	keys  map[string]*guard[T]
	turns bool // there is a Redis to take turns for
}

func newGuards[T any](l *local[T], turns bool) *guards[T] {
	g := &guards[T]{local: l}
	for i := range g.shards {
		g.shards[i].keys = make(map[string]*guard[T])
		g.shards[i].turns = turns
	}
	return g
}

func (g *guards[T]) shard(hash uint64) *guardShard[T] { return &g.shards[hash%guardShards] }

// hold must be given back with release.
func (g *guards[T]) hold(key string, hash uint64) hold[T] {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold(key, hash)
}

func (s *guardShard[T]) hold(key string, hash uint64) hold[T] {
	held := s.keys[key]
	if held == nil {
		held = new(guard[T])
		if s.turns {
			held.turn = make(chan struct{}, 1)
		}
		s.keys[key] = held
	}
	held.holds++
	return hold[T]{key: key, hash: hash, guard: held, generation: held.generation}
}

func (g *guards[T]) release(h hold[T]) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.guard.holds--; h.guard.holds == 0 {
		delete(s.keys, h.key)
	}
}

// join returns the flight to wait for, and whether it is a new one, which the caller must see to. A refresh doesn't
// join a plain load, which may have begun before what the refresh is to see: it supersedes it.
func (g *guards[T]) join(key string, hash uint64, refresh bool, p *pilot) (f *flight[T], mine bool) {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.keys[key]; held != nil && held.flight != nil {
		if held.flight.refresh || !refresh {
			return held.flight, false
		}
		held.supersede()
	}
	f = &flight[T]{hold: s.hold(key, hash), refresh: refresh, pilot: p, done: make(chan struct{})}
	f.guard.flight = f
	return f, true
}

// leave takes a landed flight out, so that later callers begin a new one.
func (g *guards[T]) leave(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	if f.guard.flight == f {
		f.guard.flight = nil
	}
	s.mu.Unlock()
	g.release(f.hold)
}

// supersede makes what is under way for the key too old to be kept or joined. Under the shard's lock.
func (g *guard[T]) supersede() {
	g.generation++
	g.flight = nil
}

// overtake begins a write of the key.
func (g *guards[T]) overtake(key string, hash uint64) hold[T] {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hold(key, hash)
	h.guard.supersede()
	return h
}

// current answers whether no write of the key has begun since h was taken.
func (g *guards[T]) current(h hold[T]) bool {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.generation == h.guard.generation
}

// fill puts a value that was read or loaded into the local tier, unless the key was written since h was taken.
func (g *guards[T]) fill(h hold[T], r *record[T], until instant) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.generation == h.guard.generation {
		g.put(h, r, until)
	}
}

// finish ends a write: what began during it is superseded too, and the local tier gets the written value.
func (g *guards[T]) finish(h hold[T], r *record[T], until instant) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.guard.supersede()
	g.put(h, r, until)
}

func (g *guards[T]) put(h hold[T], r *record[T], until instant) {
	if r == nil {
		g.local.delete(h.key, h.hash)
		return
	}
	kept := *r
	kept.freshUntil = until
	g.local.set(h.key, h.hash, kept)
}

// takeTurn waits until no other write of the key by this process is under way.
func (h hold[T]) takeTurn(ctx context.Context) error {
	select {
	case h.guard.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errTurnTaken
	}
}

func (h hold[T]) yieldTurn() { <-h.guard.turn }

// takeTurns takes the turns of many keys, in the order of the keys, so that two batches can't wait for each other.
func takeTurns[T any](ctx context.Context, holds []hold[T]) error {
	sorted := slices.SortedFunc(slices.Values(holds), func(a, b hold[T]) int { return strings.Compare(a.key, b.key) })
	for i, h := range sorted {
		if err := h.takeTurn(ctx); err != nil {
			yieldTurns(sorted[:i])
			return err
		}
	}
	return nil
}

func yieldTurns[T any](holds []hold[T]) {
	for _, h := range holds {
		h.yieldTurn()
	}
}
