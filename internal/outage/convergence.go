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

// goal says which versions of a key every process must read in the end.
type goal struct {
	version uint64          // this one or a newer one
	late    map[uint64]bool // or one of these: a Set of them failed, and may have arrived late
}

// goalsOf derives the goals from the changes: every process must see a change that returned nil or [tiered.ErrQueued]. The calls
// for one key must be in order.
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

// met reports whether the goal accepts the version.
func (g goal) met(version uint64) bool { return version >= g.version || g.late[version] }

// converge waits until every process receives invalidations again and reads current values.
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
			if f := r.awaitGoal(p, key, goals[key], time.Until(deadline)); f != nil {
				found = append(found, *f)
			}
		}
	}
	return found
}

// awaitGoal waits until the process reads a version that meets the goal.
func (r *run) awaitGoal(p *process, key string, g goal, patience time.Duration) *finding {
	var last Value
	var err error
	if await(patience, func() bool {
		last, err = r.getOrLoad(p, longLived, key)
		return err == nil && g.met(last.Version)
	}) {
		return nil
	}
	return &finding{"convergence", fmt.Sprintf("process %d still has version %d (error: %v) of %s, the change to %d was acknowledged or queued",
		p.number, last.Version, err, key, g.version)}
}
