package tiered

import (
	"math"
	"sync/atomic"
)

// proof vouches for what was read from one server of Redis while it held: until it ends, whatever changed there has been
// heard of. Its stream extends it as long as the server's invalidations surely arrive. A proof that merely ran out may be
// extended again, for nothing was missed; one that has ended can't be.
type proof struct {
	until atomic.Int64 // an instant, or proofEnded
}

const proofEnded = math.MinInt64

// The two proofs that no stream extends.
var (
	selfEvident = newProof(math.MaxInt64) // of what nobody else can change, or of what isn't watched on purpose
	unproven    = newProof(proofEnded)
)

func newProof(until instant) *proof {
	p := new(proof)
	p.until.Store(int64(until))
	return p
}

// holds is asked with the instant at which a value is to be served: a process that was frozen wakes with the old proof.
func (p *proof) holds(at instant) bool { return int64(at) < p.until.Load() }

// extend doesn't shorten a proof.
func (p *proof) extend(until instant) {
	for {
		current := p.until.Load()
		if current == proofEnded || current >= int64(until) || p.until.CompareAndSwap(current, int64(until)) {
			return
		}
	}
}

func (p *proof) end() { p.until.Store(proofEnded) }
