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

// evidence is what the checks go by.
type evidence struct {
	scenario Scenario
	fault    span
	loss     time.Duration // see run
	calls    []call
	loads    []load
	spells   []span         // in which the source was at fault
	deaf     map[int][]span // by process, when it heard of no invalidations
	alone    map[int][]span // by process, when it didn't ask Redis
	unread   map[int]bool   // by process, whether Redis ever didn't answer it
	noise    time.Duration

	had     map[place][]answer // in the order of their time
	loadsOf map[place][]load
}

// place is a key in a process's cache.
type place struct {
	process int
	member  *member
	key     string
}

// answer is a value that a call returned.
type answer struct{ at, loaded time.Duration }

// finding is something that mustn't be.
type finding struct{ check, text string }

func (c *call) place() place { return place{c.process, c.member, c.key} }

func (c *call) String() string {
	return fmt.Sprintf("process %d, %s, %s(%s) from %v, took %v", c.process, c.member.name, c.kind, c.key,
		c.start.Round(time.Millisecond), c.length().Round(time.Millisecond))
}

// learn finds out what each process had.
func (e *evidence) learn() {
	e.had, e.loadsOf = make(map[place][]answer), make(map[place][]load)
	for _, l := range e.loads {
		p := place{l.process, l.member, l.key}
		e.loadsOf[p] = append(e.loadsOf[p], l)
	}
	for i := range e.calls {
		if c := &e.calls[i]; c.loads() && c.err == nil {
			e.had[c.place()] = append(e.had[c.place()], answer{c.end, c.value.Loaded})
		}
	}
	for _, answers := range e.had {
		slices.SortFunc(answers, func(a, b answer) int { return cmp.Compare(a.at, b.at) })
	}
}

// jitter is by how much a TTL may be shorter.
const jitter = 0.05

// promised reports whether by the policy there is a value for the call, fresh or stale, wherever the source is. That is
// so for what the process was given before and nobody changes, as long as its cache may rely on what it has.
func (e *evidence) promised(c *call) bool {
	m := c.member
	if !strings.HasPrefix(c.key, "own-") || m.window() == 0 || e.loss > 0 && c.end >= e.loss {
		return false
	}
	answers := e.had[c.place()]
	i, _ := slices.BinarySearchFunc(answers, c.start, func(a answer, at time.Duration) int { return cmp.Compare(a.at, at) })
	if i == 0 || !e.reliable(c, answers[i-1].at) {
		return false
	}
	ttl := time.Duration((1 - jitter) * float64(m.policy.TTL))
	return c.end <= answers[i-1].loaded+ttl+m.window()
}

// reliable reports whether what the call's cache was given last, and when, is still in a tier that it may rely on. If Redis
// is well and tells of changes, it is. Nobody knows where Redis answers at times only, and just after an outage.
func (e *evidence) reliable(c *call, last time.Duration) bool {
	switch {
	case e.scenario.broken == source, c.end < e.fault.start:
		since := span{last, c.end}
		if e.scenario.broken == source && e.unread[c.process] {
			return false // a busy machine kept Redis from answering
		}
		return !slices.ContainsFunc(e.deaf[c.process], func(s span) bool { return s.widened(0, delta).overlaps(since) })
	case c.end >= e.fault.end, e.scenario.patchy, c.member.strict:
		return false
	case e.scenario.reads: // from then on it stays in Redis, unless a lease was in its place
		return e.heard(c) && !e.loaded(c.place(), span{e.fault.start, e.fault.start}.widened(timeout+e.noise, timeout+e.noise))
	}
	return slices.ContainsFunc(e.had[c.place()], func(a answer) bool { return a.at <= c.start && e.local(c.place(), a) })
}

// heard reports whether the call had an answer from Redis. go-redis asks a server that is READONLY again until Timeout is over,
// so that a breaker can't tell it from one that doesn't answer.
func (e *evidence) heard(c *call) bool {
	return c.length() < timeout && !slices.ContainsFunc(e.alone[c.process], c.overlaps)
}

// local reports whether the process keeps what it was given in its local tier while Redis doesn't answer. It doesn't tell
// the echo of its own store from another's change: what it read before that isn't in its local tier any more. So
// the value was loaded without Redis, or read after the echo, and no later load took a lease, which has an echo too.
func (e *evidence) local(p place, a answer) bool {
	silent := e.fault.start + 3*timeout + e.noise
	if a.loaded > silent {
		return true
	}
	echo := timeout + timeout/2 + e.noise
	return a.at < e.fault.start && a.at-a.loaded >= echo && !e.loaded(p, span{a.loaded + 1, silent})
}

// loaded reports whether the process loaded the key in the span.
func (e *evidence) loaded(p place, s span) bool {
	return slices.ContainsFunc(e.loadsOf[p], func(l load) bool { return l.overlaps(s) })
}

// checkPromises finds errors in place of values that a policy lets be served, whatever the reason.
func (e *evidence) checkPromises() (found []finding) {
	for i := range e.calls {
		if c := &e.calls[i]; c.loads() && c.err != nil && e.promised(c) {
			found = append(found, finding{"policy", fmt.Sprintf("there was a value to serve in place of an error: %v: %v", c, c.err)})
		}
	}
	return found
}

// checkErrors finds errors of calls that only had to ask a source that was well. Those that waited for another process's
// load in vain are allowed.
func (e *evidence) checkErrors() (found []finding) {
	for i := range e.calls {
		c := &e.calls[i]
		if !c.loads() || c.err == nil || errors.Is(c.err, context.DeadlineExceeded) {
			continue
		}
		ill := func(s span) bool { return s.widened(0, loadTimeout+delta).overlaps(c.span) }
		if !slices.ContainsFunc(e.spells, ill) {
			found = append(found, finding{"errors", fmt.Sprintf("the source was well: %v: %v", c, c.err)})
		}
	}
	return found
}

// checkAges finds values that are older than any policy lets them be served, or another key's.
func (e *evidence) checkAges() (found []finding) {
	const slack = time.Second
	for i := range e.calls {
		c := &e.calls[i]
		if !c.reads() || c.err != nil {
			continue
		}
		if age := c.start - c.value.Loaded; age > c.member.policy.TTL+c.member.window()+slack {
			found = append(found, finding{"age", fmt.Sprintf("a value was served that was %v old: %v", age, c)})
		}
		if c.value.Key != c.key {
			found = append(found, finding{"age", fmt.Sprintf("a value of %q was served: %v", c.value.Key, c)})
		}
	}
	return found
}

// checkWarmth finds loads of what was there and was never changed.
func (e *evidence) checkWarmth() (found []finding) {
	if !e.scenario.warm {
		return nil
	}
	until := e.fault.end
	if e.loss > 0 {
		until = min(until, e.loss)
	}
	for _, l := range e.loads {
		if strings.HasPrefix(l.key, "fixed-") && l.start >= e.fault.start && l.start < until {
			found = append(found, finding{"loads", fmt.Sprintf("process %d loaded %s at %v: it has it, and it was never changed",
				l.process, l.key, l.start.Round(time.Millisecond))})
		}
	}
	return found
}
