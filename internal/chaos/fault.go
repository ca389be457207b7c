//go:build !windows

package chaos

import (
	"context"
	"math/rand/v2"
	"time"
)

// layer is where a fault is. Two faults at the same time are in different layers.
type layer int

const (
	network layer = iota // between one worker and Redis
	workers              // their processes
	servers
	origin // the source
)

// fault is a way to break something. inject breaks it, and returns when it works again.
type fault struct {
	name   string
	layer  layer
	in     []Topology // nil: all
	inject func(*injector)
}

// injector is one fault under way.
type injector struct {
	*run
	context.Context // ends with the run; a fault need not
	rng             *rand.Rand
}

// hold leaves the fault in place for a random time between least and most.
func (in *injector) hold(least, most time.Duration) {
	pause(in, least+time.Duration(in.rng.Int64N(int64(most-least)+1)))
}

// recovery is how long a client may take to reach Redis again after the fault: it has to replace its broken connections.
func (in *injector) recovery() time.Duration { return in.options.Delta() }

func (in *injector) slot() *slot { return in.workers.slots[in.rng.IntN(len(in.workers.slots))] }

// master returns one of the masters at random.
func (in *injector) master() node {
	masters := in.masters()
	return masters[in.rng.IntN(len(masters))]
}

func (in *injector) masters() (all []node) {
	for _, m := range in.deployment.masters() {
		all = append(all, node(m.Addr()))
	}
	return all
}
