package tiered

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// keyState orders what this process does with one key: a value read or loaded before a write of the key must not be kept
// after it. A key state exists only while something is under way for its key. All of it is under its shard's lock.
type keyState[T any] struct {
	// The cache's own copy of the key. A caller's may be a string over a buffer that is overwritten as soon as the call has
	// returned, so whatever outlives a call has its key from a key state or from an item, whose key is a key state's.
	key   string
	holds int
	// The generation steps on when a write of the key begins and when it ends, and when a load has arrived, so that a
	// fill begun before can tell that it came too late.
	generation uint64
	// How often Redis told of a change of the key, so that what was read before isn't kept after it.
	heard  uint64
	wakes  []chan struct{} // of who waits for that, once each
	flight *flight[T]      // which new callers join
	turn   chan struct{}   // held while Redis is written, see turns
}

// keyRef is one interest in a key state, with the generation at which it began.
type keyRef[T any] struct {
	key        string
	hash       uint64
	guard      *keyState[T]
	generation uint64
	heard      uint64
}

const keyShards = 64

type keyTable[T any] struct {
	local  *local.Tier[T]
	echoes bool // Redis tells this process of its own changes too
	shards [keyShards]keyShard[T]
}

type keyShard[T any] struct {
	mu   sync.Mutex
	keys map[string]*keyState[T]
}

func newKeyTable[T any](l *local.Tier[T]) *keyTable[T] {
	g := &keyTable[T]{local: l}
	for i := range g.shards {
		g.shards[i].keys = make(map[string]*keyState[T])
	}
	return g
}

func (g *keyTable[T]) shard(hash uint64) *keyShard[T] { return &g.shards[hash%keyShards] }

// ref must be given back with release.
func (g *keyTable[T]) ref(key string, hash uint64) keyRef[T] {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold(key, hash)
}

func (s *keyShard[T]) hold(key string, hash uint64) keyRef[T] {
	held := s.keys[key]
	if held == nil {
		held = new(keyState[T])
		s.add(held, strings.Clone(key))
	}
	return held.hold(hash)
}

// add adds a key state of a key that is the cache's own.
func (s *keyShard[T]) add(g *keyState[T], key string) {
	g.key = key
	s.keys[key] = g
}

func (g *keyState[T]) hold(hash uint64) keyRef[T] {
	g.holds++
	return keyRef[T]{key: g.key, hash: hash, guard: g, generation: g.generation, heard: g.heard}
}

func (g *keyTable[T]) release(h keyRef[T]) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(h)
}

func (s *keyShard[T]) release(h keyRef[T]) {
	if h.guard.holds--; h.guard.holds == 0 {
		delete(s.keys, h.key)
	}
}

// join returns the flight to wait for, and whether it is a new one, which the caller must see to. A refresh doesn't
// join a plain load, which may have begun before what the refresh is to see: it supersedes it, as a retry does. But a loader
// that asks for its own key, on ctx, gets its own flight.
func (g *keyTable[T]) join(ctx context.Context, key string, hash uint64, why reason, fl *joinOptions[T]) (f *flight[T], mine bool) {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.keys[key]
	if held != nil && held.flight != nil {
		if f := held.flight; fl.joins(f, why) || f.owner.within(ctx) {
			return f, false
		}
		held.supersede()
	}
	b := fl.berth()
	if held == nil {
		held = &b.guard
		if !fl.owned {
			key = strings.Clone(key)
		}
		s.add(held, key)
	}
	f = &b.flight
	f.keyRef, f.why, f.owner, f.start = held.hold(hash), why, fl.owner, fl.start
	f.limit, f.retry = fl.limit, fl.retry
	held.flight = f
	return f, true
}

// leave takes a flight that finishes out, so that later callers begin a new one.
func (g *keyTable[T]) leave(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(f)
}

func (s *keyShard[T]) leave(f *flight[T]) {
	f.guard.forget(f.wake)
	if f.guard.flight == f {
		f.guard.flight = nil
	}
	s.release(f.keyRef)
}

// linger lets callers join a flight that has failed, until it leaves.
func (g *keyTable[T]) linger(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.guard.forget(f.wake)
	f.loading = false
}

// dismiss takes a flight that has finished out, so that the next caller begins a new one.
func (g *keyTable[T]) dismiss(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.guard.flight == f {
		f.guard.flight = nil
	}
}

// supersede makes what is under way for the key too old to be kept or joined. Under the shard's lock.
func (g *keyState[T]) supersede() {
	g.generation++
	g.flight = nil
}

// beginWrite begins a write of the key, which finish must end.
func (g *keyTable[T]) beginWrite(key string, hash uint64) keyRef[T] {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hold(key, hash)
	h.guard.supersede()
	return h
}

// current reports whether no write of the key has begun since h was taken.
func (g *keyTable[T]) current(h keyRef[T]) bool {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.generation == h.guard.generation
}

// listen returns h as of now. When Redis next tells of a change, something is sent to wake, if that is not nil.
func (g *keyTable[T]) listen(h keyRef[T], wake chan struct{}) keyRef[T] {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.heard = h.guard.heard
	if wake != nil && !slices.Contains(h.guard.wakes, wake) {
		h.guard.wakes = append(h.guard.wakes, wake)
	}
	return h
}

// unlisten takes listen back.
func (g *keyTable[T]) unlisten(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.guard.forget(f.wake)
}

func (g *keyState[T]) forget(wake chan struct{}) {
	g.wakes = slices.DeleteFunc(g.wakes, func(other chan struct{}) bool { return other == wake })
}

// unheard reports whether nothing was told of the flight's key since it last listened.
func (g *keyTable[T]) unheard(f *flight[T]) bool {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.isCurrent()
}

// load says that the flight's value is being loaded. leased: Redis will tell of one change that is the flight's own.
func (g *keyTable[T]) load(f *flight[T], leased bool) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.loading, f.echoes = true, 0
	if leased && g.echoes {
		f.echoes = 1
	}
}

// unload takes load back: somebody else has the lease.
func (g *keyTable[T]) unload(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.loading = false
}

// invalidated is called when Redis tells of a change of the key: what was read or loaded before is too old.
func (g *keyTable[T]) invalidated(key string, hash uint64) {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.keys[key]; held != nil {
		held.hear(true)
	}
	g.local.Delete(key, hash)
}

// wake wakes who waits for a load of the key by another process, which may be over.
func (g *keyTable[T]) wake(key string, hash uint64) {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.keys[key]; held != nil {
		held.heard++
		held.wake()
	}
}

// interrupted is hear for every key for which something is under way.
func (g *keyTable[T]) interrupted() {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for _, held := range s.keys {
			held.hear(false)
		}
		s.mu.Unlock()
	}
}

// wakeAll wakes who waits for keys whose leases this process gave back, where Redis doesn't tell it of its own changes.
func (g *keyTable[T]) wakeAll(held []keyRef[T]) {
	if g.echoes {
		return
	}
	for _, h := range held {
		s := g.shard(h.hash)
		s.mu.Lock()
		if current := s.keys[h.key]; current != nil {
			current.heard++
			current.wake()
		}
		s.mu.Unlock()
	}
}

// wake is called under the shard's lock.
func (g *keyState[T]) wake() {
	for _, wake := range g.wakes {
		select {
		case wake <- struct{}{}:
		default: // it is awake already
		}
	}
	g.wakes = nil
}

// hear is called under the shard's lock. told: by one change.
func (g *keyState[T]) hear(told bool) {
	g.heard++
	g.wake()
	if f := g.flight; f != nil && f.loading && told && f.echoes > 0 {
		f.echoes--
		return
	}
	g.flight = nil // it goes on for those who wait; who comes now may not get what is older than the change
}

// forget makes all flights too old to be joined or kept.
func (g *keyTable[T]) forget() {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for _, held := range s.keys {
			held.supersede()
		}
		s.mu.Unlock()
	}
}

// putRead puts what was read from Redis into the local tier, unless the key was changed or loaded since h was taken.
func (g *keyTable[T]) putRead(h keyRef[T], it *local.Item[T]) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.isCurrent() {
		g.put(h, it)
	}
}

// putReadAndLeave is fill for what a flight brings, at an instant that is hardly over, and leave. The caller must flush the local tier.
func (g *keyTable[T]) putReadAndLeave(f *flight[T], it *local.Item[T], at mono.Instant) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.isCurrent() {
		g.local.SetBuffered(f.hash, it, at)
	}
	s.leave(f)
}

// isCurrent is asked under the shard's lock.
func (h *keyRef[T]) isCurrent() bool {
	return h.generation == h.guard.generation && h.heard == h.guard.heard
}

// putLoaded is fill for what was loaded: what was read before is too old from now on.
func (g *keyTable[T]) putLoaded(h keyRef[T], it *local.Item[T]) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.generation != h.guard.generation {
		return
	}
	h.guard.generation++
	if h.heard != h.guard.heard {
		it = nil
	}
	g.put(h, it)
	g.changed(h.guard)
}

// changed wakes who waits for a key that this process changed, where Redis doesn't tell it of that.
func (g *keyTable[T]) changed(held *keyState[T]) {
	if !g.echoes {
		held.wake()
	}
}

// endWrite ends a write: what began during it is superseded too, and the local tier gets the written value, unless the key
// was changed again since.
// With expire, what the local tier has stays, as a stale one.
func (g *keyTable[T]) endWrite(h keyRef[T], it *local.Item[T], expire bool) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.guard.supersede()
	if h.heard != h.guard.heard {
		it = nil
	}
	if expire {
		g.local.Expire(h.key, h.hash)
	} else {
		g.put(h, it)
	}
	g.changed(h.guard)
	s.release(h)
}

func (g *keyTable[T]) put(h keyRef[T], it *local.Item[T]) {
	if it == nil {
		g.local.Delete(h.key, h.hash)
	} else {
		g.local.Set(h.hash, it)
	}
}
