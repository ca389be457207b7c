//go:build !windows

package outage

import (
	"fmt"
	"time"
)

const (
	// noiseMax is what a machine may oversleep for times to mean anything.
	noiseMax = 300 * time.Millisecond
	// boundSlack is what a call may take longer than it is let wait, for what it does itself.
	boundSlack = 200 * time.Millisecond
)

// bound is how long a call may take. A call that loads asks Redis twice at most beside the load: before it for the era or
// the value, of which the time is the load's, and after it for the store and its tags. A batch leaves what other processes
// load to a wait of its own, which begins when Redis was asked.
func (e *evidence) bound(c *call) time.Duration {
	p := c.member.policy
	switch c.kind {
	case lookup: // the value, the era and the tags
		return 3 * timeout
	case remove, expire:
		return timeout
	case set, invalidateTags: // the era, the tags and the value
		return 3 * timeout
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

// promisedAll is promised for all keys of a batch.
func (e *evidence) promisedAll(c *call) bool {
	for _, key := range c.batch {
		one := *c
		if one.key = key; !e.promised(&one) {
			return false
		}
	}
	return e.promised(c)
}

// timed is a call, and how long it may take.
type timed struct {
	call  *call
	bound time.Duration
}

func (t timed) excess() time.Duration { return t.call.length() - t.bound }

// checkBounds finds calls that took too long; the one that came closest, or went furthest, is returned too.
func (e *evidence) checkBounds() (slowest timed, found []finding) {
	slack := boundSlack + 3*e.noise
	for i := range e.calls {
		t := timed{&e.calls[i], e.bound(&e.calls[i])}
		if slowest.call == nil || t.excess() > slowest.excess() {
			slowest = t
		}
		if e.noise <= noiseMax && t.excess() > slack {
			found = append(found, finding{"time", fmt.Sprintf("more than %v (and %v for the machine's noise): %v", t.bound, slack, t.call)})
		}
	}
	return slowest, found
}
