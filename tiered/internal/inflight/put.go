package inflight

import (
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// All that is read, loaded or written is put into the local tier here, under the lock of its key's shard. The check whether an
// item is outdated and the change of the local tier are one step: a write or a reported change comes before both, and is seen, or
// after both, and replaces or deletes the item.
//
// The three kinds differ in what makes them outdated. What was read is dropped after any write, load or change. What was loaded
// is dropped after a write or another load; after a change the local tier must not keep what it has either. What was written
// always replaces what is there, unless a change was reported meanwhile: then nobody knows which came last, and the key is deleted.

// isCurrent reports whether the key wasn't changed or loaded since h was taken. The caller holds the shard's lock.
func (h *Ref[T, S]) isCurrent() bool {
	return h.generation == h.state.generation && h.Changes == h.state.changes
}

// PutRead puts an item read from Redis into the local tier, unless the key was changed or loaded since h was taken.
func (t *Table[T, S]) PutRead(h Ref[T, S], it *local.Item[T]) {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	if h.isCurrent() {
		t.put(h, it)
	}
}

// PutReadAndLeave is PutRead for a flight's item, at the instant at, and then Leave. The caller must flush the local tier.
func (t *Table[T, S]) PutReadAndLeave(f *Flight[T, S], it *local.Item[T], at mono.Instant) {
	s := t.locked(f.Hash)
	defer s.mu.Unlock()
	if f.isCurrent() {
		t.local.SetBuffered(f.Hash, it, at)
	}
	s.leave(f)
}

// PutLoaded is PutRead for a loaded item. It makes values read before too old.
func (t *Table[T, S]) PutLoaded(h Ref[T, S], it *local.Item[T]) {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	if h.generation != h.state.generation {
		return
	}
	h.state.generation++
	if h.Changes != h.state.changes {
		it = nil
	}
	t.put(h, it)
	t.wakeOwn(h.state)
}

// NotWritten reports whether no write of the key has begun, and no load of it arrived, since h was taken.
func (t *Table[T, S]) NotWritten(h Ref[T, S]) bool {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	return h.generation == h.state.generation
}

// PutKept puts an item into the local tier of which Redis has just said, in order with the changes that it reports, that the key still
// has it, and releases h. It isn't put if a write of the key began, or a load of it arrived, since h was taken. A nil item is none.
func (t *Table[T, S]) PutKept(h Ref[T, S], it *local.Item[T]) {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	if it != nil && h.generation == h.state.generation {
		t.local.Set(h.Hash, it)
	}
	s.release(h)
}

// BeginWrite begins a write of the key, which EndWrite must end.
func (t *Table[T, S]) BeginWrite(key string, hash uint64) Ref[T, S] {
	s := t.locked(hash)
	defer s.mu.Unlock()
	h := s.ref(key, hash)
	h.state.supersede()
	return h
}

// EndWrite ends a write. It supersedes reads and loads that began during it, and puts the written item into the local tier unless
// the key was changed meanwhile. With expire, the local tier's item becomes stale instead.
func (t *Table[T, S]) EndWrite(h Ref[T, S], it *local.Item[T], expire bool) {
	s := t.locked(h.Hash)
	defer s.mu.Unlock()
	h.state.supersede()
	if h.Changes != h.state.changes {
		it = nil
	}
	if expire {
		t.local.Expire(h.Key, h.Hash)
	} else {
		t.put(h, it)
	}
	t.wakeOwn(h.state)
	s.release(h)
}

// SupersedeAll supersedes all that is under way.
func (t *Table[T, S]) SupersedeAll() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, k := range s.keys {
			k.supersede()
		}
		s.mu.Unlock()
	}
}

func (t *Table[T, S]) put(h Ref[T, S], it *local.Item[T]) {
	if it == nil {
		t.local.Delete(h.Key, h.Hash)
	} else {
		t.local.Set(h.Hash, it)
	}
}
