package local

import (
	"math"
	"runtime"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const stripes = 64

// stripe has the counters of a part of all hashes, so that processors don't contend for them.
type stripe struct {
	begun, hits, misses atomic.Uint64 // Gets; begun - hits - misses are under way
	sets                atomic.Uint64 // an item counted here is found by each Get that begins later
	_                   [32]byte      // the size of a stripe is that of a cache line
}

func (l *Tier[T]) stripe(hash uint64) *stripe { return &l.stripes[hash>>58] }

// Miss is a key that a Get found nothing for.
type Miss struct {
	Key  string
	Hash uint64
	At   mono.Instant
	Sets uint64 // which that Get returned
}

// Unknown is the number of Sets of a Miss that has to be looked up again: no Get has shown that there is nothing.
const Unknown = math.MaxUint64

// StillMissing reports whether another look would find nothing either: no item has been set since the Get that missed, and
// that one found nothing of use.
func (l *Tier[T]) StillMissing(m Miss) bool { return l.stripe(m.Hash).sets.Load() == m.Sets }

// waitForGets waits until all Gets that have begun have ended.
func (l *Tier[T]) waitForGets() {
	for i := range l.stripes {
		// The ended ones are read first. They are never more than those that have begun, so equal numbers mean that none
		// was under way.
		for s := &l.stripes[i]; s.hits.Load()+s.misses.Load() != s.begun.Load(); {
			runtime.Gosched()
		}
	}
}
