package inflight

import (
	"context"
	"strings"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/local"
)

// keyState orders what this process does with one key. The shard's lock guards all its fields.
//
// It is made by the first reference and removed with the last, so an idle table is empty. Its numbers begin at 0 each time: they
// are only compared with those in a Ref, and a Ref keeps its state. Most states belong to a single flight, so Join takes both
// out of one slot, which a batch allocates for many keys at once.
type keyState[T, S any] struct {
	key  string // the cache's own copy: a caller's string may be backed by a buffer that is reused after the call
	refs int
	// The generation is incremented when a write of the key begins and ends, and when a loaded value is put into the local
	// tier. A value read or loaded at an older generation isn't put there.
	generation uint64
	changes    uint64          // changes of the key that were reported
	wakes      []chan struct{} // notified of the next such change; without duplicates
	flight     *Flight[T, S]   // the flight that new callers join
	writes     chan struct{}   // holds an element while Redis is written, see WriteLock
}

// Ref is a reference to a key's state, with its generation and count of changes when the reference was taken.
type Ref[T, S any] struct {
	Key     string
	Hash    uint64
	Changes uint64

	state      *keyState[T, S]
	generation uint64
}

const shards = 64

// Table has the states of a cache's keys.
type Table[T, S any] struct {
	OwnEvents bool // Redis reports this process's own changes to it too

	local  *local.Tier[T]
	shards [shards]shard[T, S]
}

type shard[T, S any] struct {
	mu   sync.Mutex
	keys map[string]*keyState[T, S]
}

// New returns the table of the cache with that local tier.
func New[T, S any](l *local.Tier[T]) *Table[T, S] {
	t := &Table[T, S]{local: l}
	for i := range t.shards {
		t.shards[i].keys = make(map[string]*keyState[T, S])
	}
	return t
}

func (t *Table[T, S]) shard(hash uint64) *shard[T, S] { return &t.shards[hash%shards] }

// locked returns the key's shard, which it locks.
func (t *Table[T, S]) locked(hash uint64) *shard[T, S] {
	s := t.shard(hash)
	s.mu.Lock()
	return s
}

// Len returns how many keys have a state.
func (t *Table[T, S]) Len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.keys)
		s.mu.Unlock()
	}
	return n
}

// Joinable returns the flight of the key that a new caller may join, or nil.
func (t *Table[T, S]) Joinable(key string, hash uint64) *Flight[T, S] {
	s := t.locked(hash)
	defer s.mu.Unlock()
	if k := s.keys[key]; k != nil {
		return k.flight
	}
	return nil
}

// Ref returns a reference to the key's state, which it creates if necessary. The caller must release it.
func (t *Table[T, S]) Ref(key string, hash uint64) Ref[T, S] {
	s := t.locked(hash)
	defer s.mu.Unlock()
	return s.ref(key, hash)
}

func (s *shard[T, S]) ref(key string, hash uint64) Ref[T, S] {
	k := s.keys[key]
	if k == nil {
		k = new(keyState[T, S])
		s.add(k, strings.Clone(key))
	}
	return k.ref(hash)
}

// add adds a key state. The key must be the cache's own copy.
func (s *shard[T, S]) add(k *keyState[T, S], key string) {
	k.key = key
	s.keys[key] = k
}

func (k *keyState[T, S]) ref(hash uint64) Ref[T, S] {
	k.refs++
	return Ref[T, S]{Key: k.key, Hash: hash, state: k, generation: k.generation, Changes: k.changes}
}

// Release gives up a reference.
func (t *Table[T, S]) Release(h Ref[T, S]) {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	s.release(h)
}

func (s *shard[T, S]) release(h Ref[T, S]) {
	if h.state.refs--; h.state.refs == 0 {
		delete(s.keys, h.Key)
	}
}

// Join returns the flight to wait for, and whether it is new: then the caller must run it. A refresh or a retry supersedes a
// plain load, which may have begun too early. A loader that asks for its own key, on ctx, gets its own flight.
func (t *Table[T, S]) Join(ctx context.Context, key string, hash uint64, why Reason, o *JoinOptions[T, S]) (f *Flight[T, S], isNew bool) {
	s := t.locked(hash)
	defer s.mu.Unlock()
	k := s.keys[key]
	if k != nil && k.flight != nil {
		if f := k.flight; o.joins(f, why) || f.Owner.Within(ctx) {
			f.joined(o)
			return f, false
		}
		k.supersede()
	}
	return s.begin(k, key, hash, why, o), true
}

// begin makes a new flight the one that callers of the key join. k is the key's state, or nil.
func (s *shard[T, S]) begin(k *keyState[T, S], key string, hash uint64, why Reason, o *JoinOptions[T, S]) *Flight[T, S] {
	b := o.slot()
	if k == nil {
		k = &b.state
		if !o.OwnedKeys {
			key = strings.Clone(key)
		}
		s.add(k, key)
	}
	f := &b.flight
	f.Ref, f.Reason, f.Owner, f.Start = k.ref(hash), why, o.Owner, o.Start
	f.Limit, f.retry = o.Limit, o.Retry
	if f.Owner == nil {
		f.Owner = new(Owner)
	}
	f.joined(o)
	k.flight = f
	return f
}

// Leave removes a finished flight and releases its reference, so that later callers begin a new one.
func (t *Table[T, S]) Leave(f *Flight[T, S]) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	s.leave(f)
}

func (s *shard[T, S]) leave(f *Flight[T, S]) {
	f.state.removeWake(f.Wake)
	if f.state.flight == f {
		f.state.flight = nil
	}
	s.release(f.Ref)
}

// linger ends the load of a flight that has failed, but lets callers join it until it leaves.
func (t *Table[T, S]) linger(f *Flight[T, S]) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	f.state.removeWake(f.Wake)
	f.loading = false
}

// Dismiss keeps later callers from joining a finished flight. Its reference remains.
func (t *Table[T, S]) Dismiss(f *Flight[T, S]) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	if f.state.flight == f {
		f.state.flight = nil
	}
}

// BeginLoad marks the flight as loading. If it has a primary lease, Redis reports one change that is the flight's own.
func (t *Table[T, S]) BeginLoad(f *Flight[T, S], leased bool) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	f.loading, f.ownEvents = true, 0
	if leased && t.OwnEvents {
		f.ownEvents = 1
	}
}

// AbortLoad undoes BeginLoad, because the flight has no lease.
func (t *Table[T, S]) AbortLoad(f *Flight[T, S]) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	f.loading = false
}

// supersede makes the reads and loads under way too old to be kept or joined. The caller holds the shard's lock.
func (k *keyState[T, S]) supersede() {
	k.generation++
	k.flight = nil
}
