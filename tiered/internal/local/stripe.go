package local

import (
	"runtime"
	"sync/atomic"
)

// stripes have the counters of all hashes.
type stripes [64]stripe

// stripe has the counters of a part of all hashes, so that processors don't contend for them.
type stripe struct {
	begun, hits, misses atomic.Uint64 // Gets; begun - hits - misses are under way
	sampleAt            atomic.Uint64 // the number of the next hit of which the sampler takes a sample; 0: none
	_                   [32]byte      // the size of a stripe is that of a cache line
}

func (s *stripes) of(hash uint64) *stripe { return &s[hash>>58] }

// hits returns the number of Gets that have found something.
func (s *stripes) hits() (n uint64) {
	for i := range s {
		n += s[i].hits.Load()
	}
	return n
}

// waitForGets waits until all Gets that have begun have ended.
func (s *stripes) waitForGets() {
	for i := range s {
		// The ended ones are read first. They are never more than those that have begun, so equal numbers mean that none
		// was under way.
		for s := &s[i]; s.hits.Load()+s.misses.Load() != s.begun.Load(); {
			runtime.Gosched()
		}
	}
}
