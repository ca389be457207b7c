//go:build !windows

package outage

import (
	"fmt"
	"strings"
	"time"
)

// evidence collects what the run recorded.
func (r *run) evidence(calls []call) *evidence {
	e := &evidence{
		scenario: r.scenario, fault: r.fault, loss: r.loss, calls: calls,
		noEvents: make(map[int][]span), breakerOpen: make(map[int][]span), closings: make(map[int][]time.Duration),
		unanswered: make(map[int]bool), noise: r.noise.worst,
	}
	e.loads, e.sourceFaults = r.source.takeLoads()
	for _, p := range r.processes {
		for _, c := range p.caches {
			s := c.Stats()
			e.unanswered[p.number] = e.unanswered[p.number] || s.RedisErrors+s.Spared > 0
		}
	}
	for _, o := range r.observers {
		e.noEvents[o.number], e.breakerOpen[o.number] = o.noEvents, o.traced.openSpans(r.clock.now())
		e.closings[o.number] = o.traced.closings()
	}
	e.index()
	return e
}

// check runs all checks of the calls.
func (e *evidence) check() (slowest timed, found []finding) {
	slowest, found = e.checkBounds()
	found = append(found, e.checkPromises()...)
	found = append(found, e.checkErrors()...)
	found = append(found, e.checkAges()...)
	found = append(found, e.checkLoads()...)
	return slowest, found
}

// checkLines finds loggers with more than a few lines for each episode of the fault and one for each second.
func (r *run) checkLines() (total int, found []finding) {
	most := 6 + 4*r.episodes + int(r.options.Time/time.Second)
	for _, p := range r.processes {
		for _, l := range p.lines {
			n, first := l.count()
			if total += n; n > most {
				found = append(found, finding{"log", fmt.Sprintf("process %d, %s: %d lines, more than %d: %s",
					p.number, l.name, n, most, strings.Join(first, "; "))})
			}
		}
	}
	return total, found
}

// heapSlack is how much the heap may grow: for pools of buffers and connections, and for stacks.
const heapSlack = 16 << 20

// checkUsage compares the usage with that before the run, after waiting for goroutines to end.
func checkUsage(before usage) (after usage, found []finding) {
	settled := await(patience, func() bool { return len(more(before.goroutines, currentGoroutines())) == 0 })
	after = currentUsage()
	if !settled {
		found = append(found, finding{"goroutines", "there are more than before: " +
			strings.Join(more(before.goroutines, after.goroutines), ", ")})
	}
	if after.heap > 2*before.heap+heapSlack {
		found = append(found, finding{"heap", fmt.Sprintf("%d KiB, before the fault %d", after.heap>>10, before.heap>>10)})
	}
	return after, found
}
