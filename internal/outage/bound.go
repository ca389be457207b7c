//go:build !windows

package outage

import (
	"fmt"
	"time"
)

const (
	// noiseMax is how late a goroutine may wake. On a machine where one wakes later, durations aren't checked.
	noiseMax = 300 * time.Millisecond
	// boundSlack is how much longer than its timeouts a call may take, for its own work.
	boundSlack = 200 * time.Millisecond
	// slowCall is the check that finds calls which exceeded their bounds.
	slowCall = "time"
)

// bound returns how long a call may take. A call that loads asks Redis at most twice besides the load: before it for the epoch
// or the value, which is part of LoadTimeout, and after it to store the value and register its tags. A batch waits separately
// for keys that other processes load; that wait begins after Redis was asked.
func (e *evidence) bound(c *call) time.Duration {
	p := c.config.policy
	switch c.kind {
	case lookup: // the value, the epoch and the tags
		return 3 * timeout
	case remove, expire:
		return timeout
	case set, invalidateTags: // queued tags, the epoch, the tags and the value
		return 4 * timeout
	}
	switch {
	case p.StaleWhileRevalidate > 0 && e.promisedAll(c):
		return 2 * timeout
	case p.SoftTimeout > 0 && e.promisedAll(c):
		return p.SoftTimeout + 2*timeout
	case c.kind == getOrLoadMany:
		return loadTimeout + 4*timeout
	}
	return loadTimeout + 2*timeout
}

// promisedAll reports whether promised is true for all keys of a batch.
func (e *evidence) promisedAll(c *call) bool {
	for _, key := range c.batch {
		one := *c
		if one.key = key; !e.promised(&one) {
			return false
		}
	}
	return e.promised(c)
}

// timed is a call with its bound.
type timed struct {
	call  *call
	bound time.Duration
}

func (t timed) excess() time.Duration { return t.call.length() - t.bound }

// checkBounds finds calls that exceeded their bounds. slowest is the call that came closest to its bound or exceeded it most.
func (e *evidence) checkBounds() (slowest timed, found []finding) {
	slack := boundSlack + 3*e.noise
	for i := range e.calls {
		t := timed{&e.calls[i], e.bound(&e.calls[i])}
		if slowest.call == nil || t.excess() > slowest.excess() {
			slowest = t
		}
		if e.noise <= noiseMax && t.excess() > slack {
			found = append(found, finding{slowCall, fmt.Sprintf("more than %v (and %v for the machine's noise): %v", t.bound, slack, t.call)})
		}
	}
	return slowest, found
}
