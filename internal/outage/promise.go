//go:build !windows

package outage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// evidence is the input of the checks.
type evidence struct {
	scenario     Scenario
	fault        span
	loss         time.Duration // see run
	calls        []call
	loads        []load
	sourceFaults []span                  // when the source failed
	noEvents     map[int][]span          // by process, when it received no invalidations
	breakerOpen  map[int][]span          // by process, when a breaker may have been open
	closings     map[int][]time.Duration // by process, when a breaker was closed
	unanswered   map[int]bool            // by process, whether Redis ever failed to answer it
	noise        time.Duration

	returned map[entryID][]answer // in order of time
	loadsOf  map[entryID][]load
}

// entryID names an entry: a key in a cache of a process.
type entryID struct {
	process int
	config  *cacheConfig
	key     string
}

// answer is a value that a call returned.
type answer struct{ at, loaded time.Duration }

// finding is a violation of a check.
type finding struct{ check, text string }

func (c *call) entry() entryID { return entryID{c.process, c.config, c.key} }

// index groups loads and returned values by entry.
func (e *evidence) index() {
	e.returned, e.loadsOf = make(map[entryID][]answer), make(map[entryID][]load)
	for _, l := range e.loads {
		p := entryID{l.process, l.config, l.key}
		e.loadsOf[p] = append(e.loadsOf[p], l)
	}
	for i := range e.calls {
		if c := &e.calls[i]; c.loads() && c.err == nil {
			e.returned[c.entry()] = append(e.returned[c.entry()], answer{c.end, c.value.Loaded})
		}
	}
	for _, answers := range e.returned {
		slices.SortFunc(answers, func(a, b answer) int { return cmp.Compare(a.at, b.at) })
	}
}

// jitter is the fraction by which a TTL may be shorter.
const jitter = 0.05

// promised reports whether the policy promises the call a value, fresh or stale, even if the source fails. It does for a value
// that the process got before and that never changes, as long as the cache may rely on its copy.
func (e *evidence) promised(c *call) bool {
	m := c.config
	if !strings.HasPrefix(c.key, "own-") || m.window() == 0 || e.loss > 0 && c.end >= e.loss {
		return false
	}
	answers := e.returned[c.entry()]
	i, _ := slices.BinarySearchFunc(answers, c.start, func(a answer, at time.Duration) int { return cmp.Compare(a.at, at) })
	if i == 0 || !e.reliable(c, answers[i-1].at) {
		return false
	}
	ttl := time.Duration((1 - jitter) * float64(m.policy.TTL))
	return c.end <= answers[i-1].loaded+ttl+m.window()
}

// reliable reports whether the value that the call's cache got last, at the given time, is still in a tier that the cache may
// rely on. It is if Redis works and invalidations arrive. It is unknown if Redis answers intermittently, and just after an outage.
func (e *evidence) reliable(c *call, last time.Duration) bool {
	switch {
	case e.scenario.broken == source, c.end < e.fault.start:
		since := span{last, c.end}
		if e.scenario.broken == source && e.unanswered[c.process] {
			return false // a busy machine kept Redis from answering
		}
		return !slices.ContainsFunc(e.noEvents[c.process], func(s span) bool { return s.widened(0, delta).overlaps(since) })
	case c.end >= e.fault.end, e.scenario.intermittent, c.config.strict:
		return false
	case e.scenario.reads: // the value stays in Redis, unless a lease had replaced it when the fault began
		return e.answered(c) && !e.loaded(c.entry(), span{e.fault.start, e.fault.start}.widened(timeout+e.noise, timeout+e.noise))
	}
	return slices.ContainsFunc(e.returned[c.entry()], func(a answer) bool {
		return a.at <= c.start && e.local(c.entry(), a) && !e.answeredAgain(c.process, span{a.loaded, c.end})
	})
}

// answeredAgain reports whether Redis began to answer the process in the span, after it hadn't. Then a value that only the local tier
// has is no longer served, and on a busy machine that may happen at any time.
func (e *evidence) answeredAgain(process int, s span) bool {
	return slices.ContainsFunc(e.closings[process], func(at time.Duration) bool { return s.start <= at && at <= s.end })
}

// answered reports whether Redis answered the call. go-redis retries a READONLY error until Timeout is over, so that a breaker
// can't tell such a server from one that doesn't answer.
func (e *evidence) answered(c *call) bool {
	return c.length() < timeout && !slices.ContainsFunc(e.breakerOpen[c.process], c.overlaps)
}

// local reports whether the process keeps the value in its local tier while Redis doesn't answer. The process can't tell the
// invalidation that its own store causes from another process's change, and so drops what it read before that arrived. Therefore
// the value must have been loaded without Redis, or read after that invalidation (or Redis has confirmed it since), and no later
// load may have taken a lease, which causes an invalidation, too.
func (e *evidence) local(p entryID, a answer) bool {
	silent := e.fault.start + 3*timeout + e.noise + e.scenario.late
	if a.loaded > silent {
		return true
	}
	ownEvent := timeout + timeout/2 + e.noise
	if p.config.policy.StoreBehind { // its callers have the value before the store begins
		ownEvent += timeout
	}
	return a.at < e.fault.start && a.at-a.loaded >= ownEvent && !e.loaded(p, span{a.loaded + 1, silent})
}

// loaded reports whether the process loaded the key in the span.
func (e *evidence) loaded(p entryID, s span) bool {
	return slices.ContainsFunc(e.loadsOf[p], func(l load) bool { return l.overlaps(s) })
}

// checkPromises finds errors where the policy promised a value.
func (e *evidence) checkPromises() (found []finding) {
	for i := range e.calls {
		if c := &e.calls[i]; c.loads() && c.err != nil && e.promised(c) {
			found = append(found, finding{"policy", fmt.Sprintf("the policy promised a value, not an error: %v: %v", c, c.err)})
		}
	}
	return found
}

// checkErrors finds errors of calls while the source worked. A call that waited too long for another process's load may fail.
func (e *evidence) checkErrors() (found []finding) {
	for i := range e.calls {
		c := &e.calls[i]
		if !c.loads() || c.err == nil || errors.Is(c.err, context.DeadlineExceeded) {
			continue
		}
		ill := func(s span) bool { return s.widened(0, loadTimeout+delta).overlaps(c.span) }
		if !slices.ContainsFunc(e.sourceFaults, ill) {
			found = append(found, finding{"errors", fmt.Sprintf("the source worked: %v: %v", c, c.err)})
		}
	}
	return found
}

// checkAges finds values that are older than their policy allows, or that belong to another key.
func (e *evidence) checkAges() (found []finding) {
	const slack = time.Second
	for i := range e.calls {
		c := &e.calls[i]
		if !c.reads() || c.err != nil {
			continue
		}
		if age := c.start - c.value.Loaded; age > c.config.policy.TTL+c.config.window()+slack {
			found = append(found, finding{"age", fmt.Sprintf("a value was served that was %v old: %v", age, c)})
		}
		if c.value.Key != c.key {
			found = append(found, finding{"age", fmt.Sprintf("a value of %q was served: %v", c.value.Key, c)})
		}
	}
	return found
}

// checkLoads finds loads of keys that were cached and never changed.
func (e *evidence) checkLoads() (found []finding) {
	if !e.scenario.warm {
		return nil
	}
	until := e.fault.end
	if e.loss > 0 {
		until = min(until, e.loss)
	}
	for _, l := range e.loads {
		if strings.HasPrefix(l.key, "fixed-") && l.start >= e.fault.start && l.start < until {
			found = append(found, finding{"loads", fmt.Sprintf("process %d loaded %s at %v, though it was cached and never changed",
				l.process, l.key, l.start.Round(time.Millisecond))})
		}
	}
	return found
}
