//go:build !windows

package outage

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// Scenario is one way in which Redis or the source fails.
type Scenario struct {
	Name         string
	inject       func(*injector) // breaks something, and returns when it works again
	redis        []string        // arguments of redis-server
	broken       tier
	reads        bool          // Redis fails, but answers reads
	intermittent bool          // Redis answers some requests only
	late         time.Duration // how long after a call has failed its effect may be reported; until then it may remove a local copy
	sourceFails  bool          // the source fails, too, in the middle third of the fault
	warm         bool          // long-lived values aren't loaded during the fault
}

// tier is the part that fails.
type tier int

const (
	remote tier = iota
	source
)

// run is one run of a scenario.
type run struct {
	t         testing.TB
	scenario  Scenario
	options   Options
	clock     clock
	server    *redistest.Server
	source    *database
	processes []*process
	observers []*observer
	journal   journal
	noise     noise
	peak      peak
	episodes  int           // of the fault
	fault     span          // all of it
	loss      time.Duration // from then on unchanged values may be invalid; 0: never
	recovered time.Duration // when invalidations arrived everywhere again
}

// recordLoss records that from now on unchanged values may be invalid.
func (r *run) recordLoss() { r.loss = r.clock.now() }

// injector injects the fault of a run.
type injector struct {
	*run
	rng *rand.Rand
}

// hold leaves the fault in place for a while.
func (in *injector) hold(d time.Duration) { pause(context.Background(), d) }
