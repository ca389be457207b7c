package httpcache

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// recentKeys is a set of keys that are kept for some time, such as those of responses to requests with Authorization that aren't
// shared, so that the next ones aren't recorded, and no request waits for them. It may forget a key early.
type recentKeys struct {
	seed  maphash.Seed
	slots [1 << 12]atomic.Uint64 // the upper half of a key's hash, and until when, in seconds of the cache's life
	since time.Time
}

func newRecentKeys() *recentKeys { return &recentKeys{seed: maphash.MakeSeed(), since: time.Now()} }

func (f *recentKeys) add(key string, ttl time.Duration) {
	slot, hash := f.slot(key)
	slot.Store(hash | f.now() + uint64(ttl/time.Second))
}

func (f *recentKeys) has(key string) bool {
	slot, hash := f.slot(key)
	v := slot.Load()
	return v&^uint64(1<<32-1) == hash && v&(1<<32-1) > f.now()
}

func (f *recentKeys) slot(key string) (slot *atomic.Uint64, hash uint64) {
	h := maphash.String(f.seed, key)
	return &f.slots[h%uint64(len(f.slots))], h &^ uint64(1<<32-1)
}

func (f *recentKeys) now() uint64 { return uint64(time.Since(f.since) / time.Second) }
