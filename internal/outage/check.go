//go:build !windows

package outage

import (
	"fmt"
	"strings"
	"time"
)

// evidence is all that the run knows of the calls.
func (r *run) evidence(calls []call) *evidence {
	e := &evidence{
		scenario: r.scenario, fault: r.fault, loss: r.loss, calls: calls,
		deaf: make(map[int][]span), alone: make(map[int][]span), unread: make(map[int]bool), noise: r.noise.worst,
	}
	e.loads, e.spells = r.source.take()
	for _, p := range r.processes {
		for _, c := range p.caches {
			s := c.Stats()
			e.unread[p.number] = e.unread[p.number] || s.RedisErrors+s.Spared > 0
		}
	}
	for _, o := range r.observers {
		e.deaf[o.number], e.alone[o.number] = o.deaf, o.traced.alone(r.clock.now())
	}
	e.learn()
	return e
}

// check looks for what the calls must not have seen.
func (e *evidence) check() (slowest timed, found []finding) {
	slowest, found = e.checkBounds()
	found = append(found, e.checkPromises()...)
	found = append(found, e.checkErrors()...)
	found = append(found, e.checkAges()...)
	found = append(found, e.checkWarmth()...)
	return slowest, found
}

// checkLines finds loggers that say more than a few lines for each episode of a fault, and one a second of what goes on.
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
