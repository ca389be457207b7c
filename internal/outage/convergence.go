//go:build !windows

package outage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// goal is what every process has to see in the end.
type goal struct {
	version uint64          // at least this
	late    map[uint64]bool // but these may have come late: they were written by a Set that failed
}

// goalsOf finds out what the changes promised: a change that returned nil, or [tiered.ErrQueued], is seen by all. Calls of
// one key are in their order.
func goalsOf(calls []call) map[string]goal {
	goals := make(map[string]goal)
	for i := range calls {
		c := &calls[i]
		for key, version := range c.wrote {
			g, ok := goals[key]
			if !ok {
				g.late = make(map[uint64]bool)
			}
			if c.err == nil || errors.Is(c.err, tiered.ErrQueued) {
				g.version = version
			}
			if c.err != nil && c.kind == set {
				g.late[version] = true
			}
			goals[key] = g
		}
	}
	return goals
}

// met reports whether the version will do.
func (g goal) met(version uint64) bool { return version >= g.version || g.late[version] }

// converge waits until every process is well, and reads what the source has.
func (r *run) converge() (found []finding) {
	if r.recovered == 0 {
		for _, p := range r.processes {
			found = append(found, finding{"recovery", fmt.Sprintf("process %d, %v after the fault: %v", p.number, patience, p.status())})
		}
	}
	goals := goalsOf(r.journal.calls)
	deadline := time.Now().Add(patience)
	for _, p := range r.processes {
		for _, key := range slices.Sorted(maps.Keys(goals)) {
			if f := r.follow(p, key, goals[key], time.Until(deadline)); f != nil {
				found = append(found, *f)
			}
		}
	}
	return found
}

// follow waits until the process sees what it has to.
func (r *run) follow(p *process, key string, g goal, patience time.Duration) *finding {
	var last Value
	var err error
	if await(patience, func() bool {
		last, err = r.getOrLoad(p, lasting, key)
		return err == nil && g.met(last.Version)
	}) {
		return nil
	}
	return &finding{"convergence", fmt.Sprintf("process %d still has version %d (error: %v) of %s, the change to %d was acknowledged or queued",
		p.number, last.Version, err, key, g.version)}
}
