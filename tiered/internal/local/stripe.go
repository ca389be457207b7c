package local

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// stripes have the counters of all hashes.
type stripes [64]stripe

// stripe has the counters of a part of all hashes, so that processors don't contend for them.
type stripe struct {
	inside   [2]atomic.Int64 // the callers that are in the generation with the number
	hits     atomic.Uint64
	sampleAt atomic.Uint64 // the number of the next hit of which the sampler takes a sample; 0: none
	_        [32]byte      // the size of a stripe is that of a cache line
}

func (s *stripes) of(hash uint64) *stripe { return &s[hash>>58] }

// total returns the number of Gets that have found something.
func (s *stripes) total() (hits uint64) {
	for i := range s {
		hits += s[i].hits.Load()
	}
	return hits
}

// spread counts hits that need no lock. Goroutines that run at the same time mostly have counters of their own, also if they read the
// same key.
type spread [64]struct {
	n atomic.Uint64
	_ [56]byte
}

// count increments the counter of the calling goroutine, and returns it. Which one that is depends on where its stack is.
func (s *spread) count() uint64 {
	var here byte
	const minStack = 11 // the logarithm of the smallest size of a stack, to which stacks are aligned
	i := uint64(uintptr(unsafe.Pointer(&here))>>minStack) * 0x9E3779B97F4A7C15 >> 58
	return s[i].n.Add(1)
}

func (s *spread) total() (n uint64) {
	for i := range s {
		n += s[i].n.Load()
	}
	return n
}

// waitUntilLeft waits until nobody is in the generation with the number, which must have been replaced before.
func (s *stripes) waitUntilLeft(number int) {
	for i := range s {
		for s[i].inside[number].Load() != 0 {
			runtime.Gosched()
		}
	}
}
