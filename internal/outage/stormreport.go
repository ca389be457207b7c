//go:build !windows

package outage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

const (
	stormBinTime = 100 * time.Millisecond
	mostReads    = 4   // commands that a process has under way to read from a server,
	mostBatch    = 128 // and keys of each: see package redisconn
)

// stormBin is what happened in a tenth of a second.
type stormBin struct {
	totals stormTotals   // at its end
	waited time.Duration // by the bystander at most

	mu       sync.Mutex
	times    []time.Duration // of the calls that began in it
	answered int             // of these within callerTime
}

// stormTotals are sums over all processes since their start.
type stormTotals struct {
	reads, loads  uint64 // keys read from Redis, calls of a loader
	invalidations uint64
	commands      int64 // that Redis has executed, without those of the run itself
}

func (b *stormBin) note(d time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times = append(b.times, d)
	if ok && d <= callerTime {
		b.answered++
	}
}

// bin returns the bin of that time.
func (s *storm) bin(at time.Duration) *stormBin {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.bins) <= int(at/stormBinTime) {
		s.bins = append(s.bins, new(stormBin))
	}
	return s.bins[at/stormBinTime]
}

// sample notes the totals of each bin, and reads a key that the storm doesn't concern, until ctx ends.
func (s *storm) sample(ctx context.Context) {
	for ctx.Err() == nil {
		b := s.bin(s.clock.now())
		for end := (s.clock.now()/stormBinTime + 1) * stormBinTime; ctx.Err() == nil && s.clock.now() < end; pause(ctx, tick) {
			start := time.Now()
			if err := s.client.Exists(context.WithoutCancel(ctx), bystander).Err(); err != nil {
				s.t.Error(err)
			}
			b.waited = max(b.waited, time.Since(start))
		}
		b.totals = s.totals()
	}
}

// ownCommands are those that the run itself uses, and no cache.
var ownCommands = []string{"exists", "info", "unlink", "setex"}

func (s *storm) totals() (sum stormTotals) {
	for _, p := range s.processes {
		st := p.cache.Stats()
		sum.reads += reads(st)
		sum.loads += st.Loads
		sum.invalidations += st.Invalidations
	}
	for name, n := range redistest.Calls(s.t, s.client) {
		if !slices.Contains(ownCommands, name) {
			sum.commands += int64(n)
		}
	}
	return sum
}

// Storm is the result of a storm.
type Storm struct {
	Kind      StormKind
	Took      time.Duration // from when on 99% of the calls didn't need Redis
	Keys      int           // in use
	Reads     uint64        // of keys in Redis, by all processes
	Loads     int           // since the storm began
	Excess    int           // loads of a key that began after it had been changed, beyond one
	Trouble   uint64        // keys that Redis didn't answer for in time: their loads have no lease
	Opened    uint64        // how often a breaker opened
	MostLoads int64         // that a process had at a time
	MostReads int64         // commands that a process had under way to read
	MostKeys  int64         // of one of them
	MostOther int64         // other commands that a process had under way
	Phases    []StormPhase
}

// StormPhase is a part of a run.
type StormPhase struct {
	Name           string
	Calls          int
	Answered       float64 // the share of calls that were answered within callerTime
	P50, P99       time.Duration
	Reads, Loads   uint64
	Commands       int64
	Invalidations  uint64
	BystanderWaits time.Duration
}

// report returns the result of a storm that began at that time, but for the loads. No calls run any more.
func (s *storm) report(at time.Duration, before stormTotals) *Storm {
	end := s.totals()
	r := &Storm{Kind: s.Kind, Keys: len(s.inUse()), Reads: end.reads - before.reads}
	for _, p := range s.processes {
		r.Opened += p.cache.Stats().Opened
		r.MostReads = max(r.MostReads, p.wire.reads.most.Load())
		r.MostKeys = max(r.MostKeys, p.wire.mostKeys.Load())
		r.MostOther = max(r.MostOther, p.wire.others.most.Load())
	}
	s.phases(r, int(at/stormBinTime))
	return r
}

// phases makes the phases: all before the storm, each tenth of a second from the bin first on until nearly all is local again, and all
// after that.
func (s *storm) phases(r *Storm, first int) {
	bins := s.bins[:len(s.bins)-1] // the last one isn't complete
	for i, b := range bins[1:] {
		if b.totals == (stormTotals{}) { // the machine was too busy to sample it
			b.totals = bins[i].totals
		}
	}
	part := func(name string, from, to int) (p StormPhase) {
		if from < to {
			p = phaseOf(bins[from:to], bins[from-1].totals)
		}
		p.Name = name
		return p
	}
	r.Phases = append(r.Phases, part("before", 1, first))
	var during []StormPhase
	last := 0
	for i := max(1, first); i < len(bins); i++ {
		during = append(during, part(fmt.Sprintf("%v", time.Duration(i-first)*stormBinTime), i, i+1))
		if p := during[len(during)-1]; p.Reads*100 > uint64(p.Calls) {
			last = len(during)
		}
	}
	r.Took = time.Duration(last) * stormBinTime
	r.Phases = append(r.Phases, during[:last]...)
	r.Phases = append(r.Phases, part("after", first+last, len(bins)))
}

func phaseOf(bins []*stormBin, before stormTotals) (p StormPhase) {
	var times []time.Duration
	answered := 0
	for _, b := range bins {
		times = append(times, b.times...)
		answered += b.answered
		p.BystanderWaits = max(p.BystanderWaits, b.waited)
	}
	t := bins[len(bins)-1].totals
	p.Calls, p.Reads, p.Loads, p.Commands = len(times), t.reads-before.reads, t.loads-before.loads, t.commands-before.commands
	p.Invalidations = t.invalidations - before.invalidations
	if p.Calls > 0 {
		slices.Sort(times)
		p.Answered = float64(answered) / float64(p.Calls)
		p.P50, p.P99 = times[p.Calls/2], times[p.Calls*99/100]
	}
	return p
}

// takeLoads forgets the loads and commands before the storm, and returns the totals.
func (s *storm) takeLoads() stormTotals {
	for _, p := range s.processes {
		p.mu.Lock()
		p.loads = nil
		p.mu.Unlock()
		p.wire.reset()
	}
	return s.totals()
}

// countLoads counts the loads since the storm began, and reports those that there must not be on any machine.
func (s *storm) countLoads(r *Storm) {

	left := make(map[string]int) // how many more loads of the key there may be
	for _, key := range s.inUse() {
		if s.Kind != ImportSet {
			left[key] = 1
		}
	}
	for _, p := range s.processes {
		r.MostLoads = max(r.MostLoads, p.source.peak.Load())
		st := p.cache.Stats()
		r.Trouble += st.RedisErrors + st.Spared
		for _, l := range p.loads {
			r.Loads++
			if l.start > s.changed[l.key] { // the others may have been invalidated
				left[l.key]--
			}
		}
	}
	for _, n := range left {
		r.Excess += max(0, -n)
	}
	if r.MostLoads > int64(s.MaxLoads) {
		s.t.Errorf("a process had %d loads at a time", r.MostLoads)
	}
	may := 0
	if s.Kind == FlushAll || s.Kind == ClearAll { // a process hears of it a moment later, when it may load again
		may = processes * s.MaxLoads
	}
	if r.Excess > may && r.Trouble == 0 {
		s.t.Errorf("%d loads too many of %d keys", r.Excess, r.Keys)
	}
	// A sender whose batch takes too long has a successor. A key whose lease was refused is read alone, and its load has a permit.
	if r.MostKeys > mostBatch || r.MostReads > int64(mostReads+s.MaxLoads) && r.Trouble == 0 {
		s.t.Errorf("a process had %d reads under way, of up to %d keys", r.MostReads, r.MostKeys)
	}
}

// String returns the numbers, and a line for each phase.
func (r *Storm) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: 99%% local after %v; %d keys in use, %d reads of Redis, %d loads (%d too many), Redis didn't answer for %d keys, %d breakers opened\n",
		r.Kind, r.Took.Round(time.Millisecond), r.Keys, r.Reads, r.Loads, r.Excess, r.Trouble, r.Opened)
	fmt.Fprintf(&b, "a process had at most %d loads, %d reads of up to %d keys and %d other commands under way\n",
		r.MostLoads, r.MostReads, r.MostKeys, r.MostOther)
	fmt.Fprintf(&b, "%8s %7s %9s %9s %9s %7s %7s %9s %9s %9s\n",
		"", "calls", "answered", "p50", "p99", "reads", "loads", "commands", "reports", "bystander")
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "%8s %7d %8.1f%% %9v %9v %7d %7d %9d %9d %9v\n", p.Name, p.Calls, 100*p.Answered, p.P50.Round(time.Microsecond),
			p.P99.Round(10*time.Microsecond), p.Reads, p.Loads, p.Commands, p.Invalidations, p.BystanderWaits.Round(10*time.Microsecond))
	}
	return b.String()
}
