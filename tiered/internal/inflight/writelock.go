package inflight

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
)

// WriteLock locks some keys for writing: while it is held, this process makes no other write of them to Redis. So its writes of a
// key reach Redis and the local tier in the same order.
//
// A writer may stop waiting for a call to Redis that goes on, and no later write may overtake that call. So the call retains the
// lock too, and the lock is held until both have released it.
//
// The lock of a key is a channel with room for one element, because a wait for it may end with a context, as that for a sync.Mutex
// can't. It is made for the first write of the key and goes with the key's state, which each holder and each waiter refers to. A
// caller first locks what it can at once, and writes that, before it waits for the others: a key whose write hangs doesn't hold
// up the other keys of a batch.
type WriteLock[T, S any] struct {
	table *Table[T, S]
	held  []keyLock[T, S]
	users atomic.Int32
}

// keyLock is the write lock of one key.
type keyLock[T, S any] struct {
	ref   Ref[T, S] // keeps the key state while the lock is held
	taken chan struct{}
}

// LockWrites locks the keys that it can lock at once, or with wait before ctx ends. It returns the places of the locked keys and,
// as busy, those of the others. The caller must release the lock, even if no key is locked.
func (t *Table[T, S]) LockWrites(ctx context.Context, refs []Ref[T, S], wait bool) (l *WriteLock[T, S], locked, busy []int) {
	l = &WriteLock[T, S]{table: t}
	l.users.Store(1)
	// Locking in the order of the keys keeps two batches from waiting for each other.
	places := make([]int, len(refs))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int { return cmp.Compare(refs[a].Key, refs[b].Key) })
	for _, i := range places {
		k := t.keyLock(refs[i])
		if k.lock(ctx, wait) {
			l.held = append(l.held, k)
			locked = append(locked, i)
		} else {
			t.Release(k.ref)
			busy = append(busy, i)
		}
	}
	return l, locked, busy
}

// keyLock returns the write lock of a key, with a reference of its own.
func (t *Table[T, S]) keyLock(of Ref[T, S]) keyLock[T, S] {
	s := t.shard(of.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.ref(of.Key, of.Hash)
	if h.state.writes == nil {
		h.state.writes = make(chan struct{}, 1)
	}
	return keyLock[T, S]{h, h.state.writes}
}

// lock locks the key and reports whether it could, at once or with wait before ctx ends.
func (k keyLock[T, S]) lock(ctx context.Context, wait bool) bool {
	select {
	case k.taken <- struct{}{}:
		return true
	default:
	}
	if !wait {
		return false
	}
	select {
	case k.taken <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Retain keeps the lock held until Release is called once more.
func (l *WriteLock[T, S]) Retain() { l.users.Add(1) }

// Release releases the lock, unless it is still retained.
func (l *WriteLock[T, S]) Release() {
	if l.users.Add(-1) > 0 {
		return
	}
	for _, k := range l.held {
		<-k.taken
		l.table.Release(k.ref)
	}
}
