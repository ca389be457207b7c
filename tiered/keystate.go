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
// after it. It exists only while something is under way for the key. The shard's lock guards all its fields.
type keyState[T any] struct {
	key   string // the cache's own copy: a caller's string may be backed by a buffer that is reused after the call
	holds int    // references
	// The generation is incremented when a write of the key begins and ends, and when a loaded value is put into the local
	// tier. A fill that began at an older generation is discarded.
	generation uint64
	heard      uint64          // changes of the key that Redis has reported
	wakes      []chan struct{} // notified of the next such change; without duplicates
	flight     *flight[T]      // the flight that new callers join
	turn       chan struct{}   // held while Redis is written, see writeLock
}

// keyRef is a reference to a key state, with its generation and count of changes when the reference was taken.
type keyRef[T any] struct {
	key        string
	hash       uint64
	guard      *keyState[T]
	generation uint64
	heard      uint64
}

const keyShards = 64

// keyTable holds the key states of a cache.
type keyTable[T any] struct {
	local  *local.Tier[T]
	echoes bool // Redis reports this process's own changes to it too
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

// ref returns a reference to the key's state, which it creates if necessary. The caller must release it.
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

// add adds a key state. The key must be the cache's own copy.
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

// join returns the flight to wait for, and whether it is new: then the caller must run it. A refresh or a retry supersedes a
// plain load, which may have begun too early. A loader that asks for its own key, on ctx, gets its own flight.
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

// leave removes a finished flight and releases its reference, so that later callers begin a new one.
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

// linger ends the load of a flight that has failed, but lets callers join it until it leaves.
func (g *keyTable[T]) linger(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.guard.forget(f.wake)
	f.loading = false
}

// dismiss removes a finished flight but keeps its reference, so that the next caller begins a new one.
func (g *keyTable[T]) dismiss(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.guard.flight == f {
		f.guard.flight = nil
	}
}

// supersede makes the reads and loads under way too old to be kept or joined. The caller holds the shard's lock.
func (g *keyState[T]) supersede() {
	g.generation++
	g.flight = nil
}

// beginWrite begins a write of the key, which endWrite must end.
func (g *keyTable[T]) beginWrite(key string, hash uint64) keyRef[T] {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hold(key, hash)
	h.guard.supersede()
	return h
}

// current reports whether no write of the key has begun, and no load of it arrived, since h was taken.
func (g *keyTable[T]) current(h keyRef[T]) bool {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.generation == h.guard.generation
}

// listen returns h with the present count of changes. If wake isn't nil, the next change of the key is signalled on it.
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

// unlisten undoes listen for the flight.
func (g *keyTable[T]) unlisten(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.guard.forget(f.wake)
}

func (g *keyState[T]) forget(wake chan struct{}) {
	g.wakes = slices.DeleteFunc(g.wakes, func(other chan struct{}) bool { return other == wake })
}

// unheard reports whether the key hasn't changed since the flight last listened.
func (g *keyTable[T]) unheard(f *flight[T]) bool {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.isCurrent()
}

// load marks the flight as loading. If it has a lease, Redis reports one change that is the flight's own.
func (g *keyTable[T]) load(f *flight[T], leased bool) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.loading, f.echoes = true, 0
	if leased && g.echoes {
		f.echoes = 1
	}
}

// unload undoes load, because another process has the lease.
func (g *keyTable[T]) unload(f *flight[T]) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.loading = false
}

// invalidated handles a change of the key that Redis has reported: values read or loaded before it are too old.
func (g *keyTable[T]) invalidated(key string, hash uint64) {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.keys[key]; held != nil {
		held.hear(true)
	}
	g.local.Delete(key, hash)
}

// wake wakes the flights that wait for another process's load of the key, because that may be over.
func (g *keyTable[T]) wake(key string, hash uint64) {
	s := g.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.keys[key]; held != nil {
		held.heard++
		held.wake()
	}
}

// interrupted treats every key that has a state as changed, because changes may have been missed.
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

// released wakes the flights that wait for a lease this process has released, unless Redis reports its own changes to it.
func (g *keyTable[T]) released(key string, hash uint64) {
	if !g.echoes {
		g.wake(key, hash)
	}
}

// wake notifies the listeners and forgets them. The caller holds the shard's lock.
func (g *keyState[T]) wake() {
	for _, wake := range g.wakes {
		select {
		case wake <- struct{}{}:
		default: // already notified
		}
	}
	g.wakes = nil
}

// hear counts a change of the key, and keeps new callers from joining a flight that may be older than it. A change that Redis
// reported (told) may be the flight's own. The caller holds the shard's lock.
func (g *keyState[T]) hear(told bool) {
	g.heard++
	g.wake()
	if f := g.flight; f != nil && f.loading && told && f.echoes > 0 {
		f.echoes--
		return
	}
	g.flight = nil // it goes on for its callers, but new ones may not get a value older than the change
}

// forget supersedes all that is under way.
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

// putRead puts an item read from Redis into the local tier, unless the key was changed or loaded since h was taken.
func (g *keyTable[T]) putRead(h keyRef[T], it *local.Item[T]) {
	s := g.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.isCurrent() {
		g.put(h, it)
	}
}

// putReadAndLeave is putRead for a flight's item, at the instant at, and then leave. The caller must flush the local tier.
func (g *keyTable[T]) putReadAndLeave(f *flight[T], it *local.Item[T], at mono.Instant) {
	s := g.shard(f.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.isCurrent() {
		g.local.SetBuffered(f.hash, it, at)
	}
	s.leave(f)
}

// isCurrent reports whether the key wasn't changed or loaded since h was taken. The caller holds the shard's lock.
func (h *keyRef[T]) isCurrent() bool {
	return h.generation == h.guard.generation && h.heard == h.guard.heard
}

// putLoaded is putRead for a loaded item. It makes values read before too old.
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

// changed wakes the listeners of a key that this process has changed, unless Redis reports the change to it.
func (g *keyTable[T]) changed(held *keyState[T]) {
	if !g.echoes {
		held.wake()
	}
}

// endWrite ends a write. It supersedes reads and loads that began during it, and puts the written item into the local tier
// unless the key was changed meanwhile. With expire, the local tier's item becomes stale instead.
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
