//go:build !windows

package outage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Report is the result of a run.
type Report struct {
	scenario      string
	calls         int
	errors        map[string]int
	ages          map[string]int // of the values returned during the fault
	slowest       string
	noise         time.Duration
	loads         [3]float64 // a second: before, during and after the fault
	recovered     time.Duration
	interruptions int // how often a process stopped receiving invalidations
	promised      int // calls during the fault for which a policy promised a value
	stale         int64
	opened        int64
	closed        int64
	queued        int64
	lines         int
	peak          int // goroutines
	before        usage
	after         usage
	found         []finding
}

func (r *run) report(calls []call) *Report {
	rep := &Report{
		scenario: r.scenario.Name, calls: len(calls), errors: make(map[string]int), ages: make(map[string]int),
		noise: r.noise.worst, recovered: r.recovered - r.fault.end, peak: r.peak.goroutines,
	}
	e := r.evidence(calls)
	var slowest timed
	slowest, rep.found = e.check()
	if slowest.call != nil {
		rep.slowest = fmt.Sprintf("%v, bound %v", slowest.call, slowest.bound)
	}
	var found []finding
	rep.lines, found = r.checkLines()
	rep.found = append(rep.found, found...)
	for i := range calls {
		c := &calls[i]
		rep.count(c, r.fault)
		if c.loads() && c.overlaps(r.fault) && e.promised(c) {
			rep.promised++
		}
	}
	calm := span{r.fault.start - r.options.calm(), r.fault.start}
	after := span{r.fault.end, max(r.recovered, r.fault.end) + r.options.calm()}
	for i, s := range []span{calm, r.fault, after} {
		rep.loads[i] = rate(e.loads, s)
	}
	for _, o := range r.observers {
		rep.interruptions += len(o.noEvents)
		rep.stale += o.traced.stale.Load()
		rep.opened += o.traced.opened.Load()
		rep.closed += o.traced.closed.Load()
		rep.queued += o.traced.queued.Load()
	}
	return rep
}

// count counts a call.
func (r *Report) count(c *call, fault span) {
	if c.err != nil {
		r.errors[errorKind(c)]++
	}
	if !c.reads() || !c.overlaps(fault) {
		return
	}
	switch age := c.end - c.value.Loaded; {
	case c.err != nil:
		r.ages["none"]++
	case age <= c.config.policy.TTL:
		r.ages["fresh"]++
	default:
		r.ages["stale"]++
	}
}

// errorKind classifies a call's error.
func errorKind(c *call) string {
	class := "other"
	switch {
	case errors.Is(c.err, tiered.ErrQueued):
		class = "queued"
	case errors.Is(c.err, tiered.ErrNotFound):
		class = "not found"
	case errors.Is(c.err, errSource):
		class = "source"
	case errors.Is(c.err, context.DeadlineExceeded):
		class = "deadline"
	}
	return string(c.kind) + " " + class
}

// rate returns how many loads per second began in the span.
func rate(loads []load, s span) float64 {
	n := 0
	for _, l := range loads {
		if l.start >= s.start && l.start < s.end {
			n++
		}
	}
	return float64(n) / s.length().Seconds()
}

// Findings lists the violations by check: their number, and the first few.
func (r *Report) Findings() (list []string) {
	const some = 3
	byCheck := make(map[string][]string)
	for _, f := range r.found {
		byCheck[f.check] = append(byCheck[f.check], f.text)
	}
	for _, check := range slices.Sorted(maps.Keys(byCheck)) {
		texts := byCheck[check]
		list = append(list, fmt.Sprintf("%s (%d):\n\t%s", check, len(texts), strings.Join(texts[:min(some, len(texts))], "\n\t")))
	}
	return list
}

// OnlySlow reports whether there are violations, and all of them are calls that took too long.
func (r *Report) OnlySlow() bool {
	return len(r.found) > 0 && !slices.ContainsFunc(r.found, func(f finding) bool { return f.check != slowCall })
}

// String returns the report in a few lines.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d operations; errors: %s; answers during the fault: %s, of which policies promised %d\n",
		r.scenario, r.calls, listed(r.errors), listed(r.ages), r.promised)
	fmt.Fprintf(&b, "\tclosest to its bound: %s; the machine's noise %v", r.slowest, r.noise.Round(time.Millisecond))
	if r.noise > noiseMax {
		fmt.Fprintf(&b, ", which is too much: times were not checked")
	}
	fmt.Fprintf(&b, "\n\tloads a second before %.0f, during %.0f, after %.0f\n", r.loads[0], r.loads[1], r.loads[2])
	fmt.Fprintf(&b, "\tinvalidations stopped %d times, arrived everywhere %v after the fault; breaker opened %d, closed %d; served stale %d, queued %d\n",
		r.interruptions, r.recovered.Round(time.Millisecond), r.opened, r.closed, r.stale, r.queued)
	fmt.Fprintf(&b, "\tlog lines %d; goroutines up to %d, in the end %d (before %d); heap %d KiB (before %d)",
		r.lines, r.peak, total(r.after.goroutines), total(r.before.goroutines), r.after.heap>>10, r.before.heap>>10)
	return b.String()
}

func listed(n map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, n[k]))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func total(n map[string]int) (sum int) {
	for _, k := range n {
		sum += k
	}
	return sum
}
