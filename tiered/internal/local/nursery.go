package local

import (
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	bufferShards = 32
	// bufferShardMax is what a shard holds before new items have to wait: in all as much as ristretto's own queue.
	bufferShardMax = 32 * 1024 / bufferShards
)

// writeBuffer keeps each new item readable until ristretto, which handles new keys behind a queue, has handled it. One
// goroutine waits for the queue and empties the nursery, round by round.
//
// While a hash is in the nursery, ristretto's queue may hold an item of it: then neither a Set nor a Del of that hash
// may follow, for ristretto would keep the older item, or drop a newer one. So a newer item only takes the place in
// the nursery, a deleted one stays there as dead, and both are settled at the end of the round.
type writeBuffer[T any] struct {
	local  *Tier[T]
	count  atomic.Int64 // of items, so that a miss needn't look when there are none
	round  atomic.Uint64
	wake   chan struct{}
	quit   chan struct{}
	ended  chan struct{}
	shards [bufferShards]bufferShard[T]
}

type bufferShard[T any] struct {
	mu     sync.Mutex
	room   sync.Cond              // there may be room again, or the nursery is closed
	items  map[uint64]buffered[T] // by hash
	closed bool
}

// buffered is an item in the nursery.
type buffered[T any] struct {
	*Item[T]
	round uint64 // in which it came
	again bool   // ristretto has not been given it yet
}

func (n *writeBuffer[T]) start(l *Tier[T]) {
	n.local = l
	n.wake = make(chan struct{}, 1)
	n.quit = make(chan struct{})
	n.ended = make(chan struct{})
	for i := range n.shards {
		n.shards[i].items = make(map[uint64]buffered[T])
		n.shards[i].room.L = &n.shards[i].mu
	}
	go n.run()
}

func (n *writeBuffer[T]) shard(hash uint64) *bufferShard[T] { return &n.shards[hash%bufferShards] }

func (n *writeBuffer[T]) get(hash uint64) *Item[T] {
	if n.count.Load() == 0 {
		return nil
	}
	s := n.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[hash].Item
}

// waitForRoom is not a promise of room: what has waited, and batches, may go over the limit.
func (n *writeBuffer[T]) waitForRoom(hash uint64) {
	if n.count.Load() < bufferShardMax {
		return
	}
	s := n.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && len(s.items) >= bufferShardMax {
		n.ring() // who has filled it may be about to, and wait here
		s.room.Wait()
	}
}

// ring is for whoever has added items.
func (n *writeBuffer[T]) ring() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// add takes a new item in and hands it to ristretto. The nursery isn't emptied before it is rung.
func (n *writeBuffer[T]) add(hash uint64, it *Item[T], at mono.Instant) {
	s := n.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	y := buffered[T]{Item: it}
	if older, there := s.items[hash]; there {
		older.kill()
		y.again = true
	} else {
		if y.again = !n.local.admit(hash, it, at); y.again {
			n.local.Dropped.Add(1)
		}
		n.count.Add(1)
	}
	y.round = n.round.Load() // once it is queued: a Wait of this round comes behind it
	s.items[hash] = y
}

func (n *writeBuffer[T]) remove(key string, hash uint64) {
	s := n.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	y, there := s.items[hash]
	if !there {
		n.local.kill(key, hash)
		return
	}
	if y.Key == key {
		y.kill()
	}
	// ristretto may hold an older item still, which the young one was to replace.
	if it := n.local.peek(hash); it != nil && it.Key == key {
		it.kill()
	}
}

// discard takes an expired item out of ristretto, if it is still there.
func (n *writeBuffer[T]) discard(it *Item[T]) {
	hash := n.local.hash(it.Key)
	s := n.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.items[hash]; there {
		return
	}
	if n.local.peek(hash) == it {
		n.local.cache.Del(hash)
	}
}

func (n *writeBuffer[T]) run() {
	defer close(n.ended)
	for {
		select {
		case <-n.quit:
			return
		case <-n.wake:
		}
		for n.count.Load() > 0 {
			select {
			case <-n.quit:
				return
			default:
			}
			over := n.round.Add(1) - 1
			n.local.cache.Wait() // whatever the rounds up to this one queued is handled
			n.local.settled.Add(1)
			for i := range n.shards {
				n.settle(&n.shards[i], over)
			}
		}
	}
}

// settle lets the items of the rounds that are over go, except those that ristretto has still to be given.
func (n *writeBuffer[T]) settle(s *bufferShard[T], over uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := mono.Now()
	for hash, y := range s.items {
		switch {
		case y.round > over:
			continue
		case y.Dead():
			n.local.cache.Del(hash)
		case y.again:
			// Replaces at once what ristretto has under the hash, or else is queued. Either way it stays for a round more.
			y.again = !n.local.admit(hash, y.Item, at)
			y.round = n.round.Load()
			s.items[hash] = y
			continue
		}
		delete(s.items, hash)
		n.count.Add(-1)
	}
	s.room.Broadcast()
}

func (n *writeBuffer[T]) close() {
	for i := range n.shards {
		s := &n.shards[i]
		s.mu.Lock()
		s.closed = true
		s.room.Broadcast()
		s.mu.Unlock()
	}
	close(n.quit)
	<-n.ended
}
