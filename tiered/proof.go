package tiered

import (
	"math"
	"sync/atomic"

	"github.com/tiercache/tiercache/tiered/internal/mono"
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

func newProof(until mono.Instant) *proof {
	p := new(proof)
	p.until.Store(int64(until))
	return p
}

// holds is asked with the instant at which a value is to be served: a process that was frozen wakes with the old proof.
func (p *proof) holds(at mono.Instant) bool { return int64(at) < p.until.Load() }

// extend doesn't shorten a proof.
func (p *proof) extend(until mono.Instant) {
	for {
		current := p.until.Load()
		if current == proofEnded || current >= int64(until) || p.until.CompareAndSwap(current, int64(until)) {
			return
		}
	}
}

func (p *proof) end() { p.until.Store(proofEnded) }

// ends is when it ends, unless it is extended.
func (p *proof) ends() mono.Instant { return mono.Instant(p.until.Load()) }

// hasEnded reports whether it ended for good.
func (p *proof) hasEnded() bool { return p.until.Load() == proofEnded }

// feed is the state of a server's stream, as far as what was read from the server depends on it.
type feed struct {
	current atomic.Pointer[proof] // of what is read from now on; written by the goroutine that listens alone
	// silent: Redis doesn't answer, so that what isn't proved may be served.
	silent atomic.Bool
	// deaf: there is nothing to hear, so that who waits has to poll.
	deaf bool
}

// proof is of what is read from the server from now on.
func (f *feed) proof() *proof { return f.current.Load() }

// eraID tells an era from all others.
type eraID [8]byte
