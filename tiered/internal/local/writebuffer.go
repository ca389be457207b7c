package local

import (
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	bufferShards = 32
	// bufferShardMax is the number of items of a shard from which on new items wait. All shards together hold as many as
	// ristretto's own queue.
	bufferShardMax = 32 * 1024 / bufferShards
)

// writeBuffer keeps new items readable until ristretto, which queues new keys, has handled them. An item is handed over to
// ristretto when it is added. A goroutine works in rounds: it waits until ristretto's queue is empty, and then removes the
// items that were handed over before the round began.
//
// While a hash is in the buffer, ristretto's queue may hold an item of that hash. A Set of the hash would lose against it,
// and a Del would come before it. So a newer item only replaces the older one in the buffer, and a deleted item stays there
// with its mark. The end of the round hands the newer item over, or deletes the hash.
type writeBuffer[T any] struct {
	store   *store[T]
	stripes *stripes
	count   atomic.Int64 // of all items, so that a miss doesn't lock a shard of an empty buffer
	round   atomic.Uint64
	wake    chan struct{} // receives when the buffer is to be emptied
	quit    chan struct{}
	ended   chan struct{}
	shards  [bufferShards]bufferShard[T]

	// Every Get reads this. The padding keeps it on another cache line than what Sets write.
	_       [56]byte
	handled atomic.Uint64 // rounds; in one, an item may go to ristretto behind a Get that looks for it
	_       [56]byte
}

type bufferShard[T any] struct {
	mu     sync.Mutex
	room   sync.Cond              // signalled when items were removed, or the buffer was closed
	items  map[uint64]buffered[T] // by hash
	closed bool
	held   bool // ristretto gets nothing of the shard at present
}

// buffered is an item in the buffer.
type buffered[T any] struct {
	*Item[T]
	round   uint64 // of the last attempt to hand it over
	pending bool   // ristretto doesn't have it: it replaced another item in the buffer, or was dropped
}

func (b *writeBuffer[T]) start(s *store[T], in *stripes) {
	b.store, b.stripes = s, in
	b.wake = make(chan struct{}, 1)
	b.quit = make(chan struct{})
	b.ended = make(chan struct{})
	for i := range b.shards {
		b.shards[i].items = make(map[uint64]buffered[T])
		b.shards[i].room.L = &b.shards[i].mu
	}
	go b.run()
}

func (b *writeBuffer[T]) shard(hash uint64) *bufferShard[T] { return &b.shards[hash%bufferShards] }

func (b *writeBuffer[T]) get(hash uint64) *Item[T] {
	if b.count.Load() == 0 {
		return nil
	}
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[hash].Item
}

// waitForRoom waits while the hash's shard is full. It reserves nothing: several callers that have waited may exceed the
// limit together.
func (b *writeBuffer[T]) waitForRoom(hash uint64) {
	if b.count.Load() < bufferShardMax {
		return
	}
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && len(s.items) >= bufferShardMax {
		b.flush() // those who filled the shard may wait here themselves, before their own flush
		s.room.Wait()
	}
}

// flush wakes the goroutine that empties the buffer.
func (b *writeBuffer[T]) flush() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// add puts a new item into the buffer, and hands it over to ristretto if the hash isn't in the buffer already.
func (b *writeBuffer[T]) add(hash uint64, it *Item[T], at mono.Instant) {
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.store.front.Load().removeKey(it.Key, hash) // also while the tier is being closed
	if s.closed {
		return
	}
	e := buffered[T]{Item: it}
	older, there := s.items[hash]
	switch {
	case there:
		older.markDeleted()
		e.pending = true
	case s.held:
		if replaced := b.store.current.Load().peek(hash); replaced != nil {
			replaced.markDeleted()
		}
		e.pending = true
		b.count.Add(1)
	default:
		if e.pending = !b.store.handOver(hash, it, at); e.pending {
			b.store.counters.dropped.Add(1)
		}
		b.count.Add(1)
	}
	e.round = b.round.Load() // after the handover: the wait that ends this round includes it
	s.items[hash] = e
}

// delete marks the key's item as deleted, in the buffer and in ristretto.
func (b *writeBuffer[T]) delete(key string, hash uint64) {
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	b.store.front.Load().removeKey(key, hash)
	if s.closed {
		return
	}
	g := b.store.current.Load()
	e, there := s.items[hash]
	if there && e.Key == key {
		e.markDeleted()
	}
	// If the hash is in the buffer, this is an older item, which the buffered one is to replace.
	it := g.peek(hash)
	if it == nil || it.Key != key {
		return
	}
	it.markDeleted()
	if !there && !s.held { // what is held is left to the sweeper
		g.Del(hash)
	}
}

// admit puts an item into the front that a Get has found in ristretto. It gives up if the lock is held: another Get will do it.
func (b *writeBuffer[T]) admit(hash uint64, it *Item[T]) {
	s := b.shard(hash)
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if _, newer := s.items[hash]; newer || s.closed || it.Deleted() {
		return
	}
	f, g := b.store.front.Load(), b.store.current.Load()
	if g.peek(hash) != it || f.get(it.Key, hash) != nil {
		return
	}
	f.put(hash, it)
	if g.peek(hash) != it { // it was evicted, maybe before it could be removed here
		f.remove(hash, it)
	}
}

// deleteItem removes the item from ristretto, if it is still there.
func (b *writeBuffer[T]) deleteItem(it *Item[T]) {
	hash := b.store.hash(it.Key)
	s := b.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.items[hash]; there || s.held {
		return
	}
	b.store.front.Load().remove(hash, it)
	if g := b.store.current.Load(); g.peek(hash) == it {
		g.Del(hash)
	}
}

func (b *writeBuffer[T]) run() {
	defer close(b.ended)
	for {
		select {
		case <-b.quit:
			return
		case <-b.wake:
		}
		for b.count.Load() > 0 {
			select {
			case <-b.quit:
				return
			default:
			}
			over := b.round.Add(1) - 1
			b.store.current.Load().Wait() // until ristretto has handled what was handed over in the rounds up to this one
			b.handled.Add(1)
			for i := range b.shards {
				b.empty(&b.shards[i], over)
			}
			if b.store.outgrown() {
				b.grow()
			}
			b.store.fitFront()
		}
	}
}

// empty removes the items of the rounds that are over from the shard, and hands over those that ristretto doesn't have.
func (b *writeBuffer[T]) empty(s *bufferShard[T], over uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, at := b.store.current.Load(), mono.Now()
	for hash, e := range s.items {
		switch {
		case e.round > over:
			continue
		case e.Deleted():
			g.Del(hash)
		case e.pending:
			// ristretto replaces the hash's item at once, or queues this one. In either case it stays for another round.
			e.pending = !b.store.handOver(hash, e.Item, at)
			e.round = b.round.Load()
			s.items[hash] = e
			continue
		}
		delete(s.items, hash)
		b.count.Add(-1)
	}
	s.room.Broadcast()
}

func (b *writeBuffer[T]) close() {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		s.closed = true
		s.room.Broadcast()
		s.mu.Unlock()
	}
	close(b.quit)
	<-b.ended
}
