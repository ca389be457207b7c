//go:build !windows

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// Report is the result of a run.
type Report struct {
	Options Options
	history.Summary
	Faults    map[string]int
	Counted   tally // by the workers that were alive at the end
	Tiers     map[history.Tier]int
	Loads     int64  // of the source
	Restarts  int64  // of workers
	Evicted   int64  // keys
	Lost      int    // acknowledged writes, by a failover
	Unplanned int    // failovers that the run didn't cause: which writes they lost is unknown
	Around    string // the faults around the first violation
	Saved     string // where the record is
}

func (r *run) report(record *history.Record, counted tally) *Report {
	rep := &Report{
		Options: r.options, Summary: history.Check(record), Faults: make(map[string]int), Counted: counted,
		Tiers: make(map[history.Tier]int), Loads: r.source.loads.Load(), Restarts: r.killed.Load(),
		Evicted: r.evicted.Load(), Lost: len(record.Lost), Unplanned: r.unplanned,
	}
	for i := range record.Ops {
		if op := &record.Ops[i]; op.Kind == history.Read && op.OK {
			rep.Tiers[op.Tier]++
		}
	}
	for _, e := range r.injected {
		rep.Faults[e.Fault]++
	}
	if len(rep.Violations) > 0 {
		rep.Around = r.around(rep.Violations[0].Read.Start)
		var err error
		if rep.Saved, err = r.save(record); err != nil {
			r.t.Errorf("chaos: saving the record: %v", err)
		}
	}
	return rep
}

// around lists the faults shortly before a time.
func (r *run) around(at int64) string {
	var b strings.Builder
	for _, e := range r.injected {
		if since := time.Duration(at - e.End); e.Start < at && since < valueTTL {
			fmt.Fprintf(&b, "%s (from %v to %v) ", e.Fault, time.Duration(e.Start-at).Round(time.Millisecond), -since.Round(time.Millisecond))
		}
	}
	return strings.TrimSpace(b.String())
}

// String returns the report as text.
func (r *Report) String() string {
	var b strings.Builder
	o, c := r.Options, r.Counted
	fmt.Fprintf(&b, "%s for %v, seed %d, %d workers of %d caches, local capacity %d (0: no limit here)\n",
		o.Topology, o.Time, o.Seed, o.Workers, cachesPerWorker, o.MaxCost)
	fmt.Fprintf(&b, "faults: %s\n", listed(r.Faults))
	fmt.Fprintf(&b, "workers killed %d, keys evicted %d, writes lost %d, unplanned failovers %d\n",
		r.Restarts, r.Evicted, r.Lost, r.Unplanned)
	fmt.Fprintf(&b, "reads that returned a value: %s\n", listed(r.Tiers))
	fmt.Fprintf(&b, "source asked %d times; caches counted local hits %d, remote hits %d, misses %d, loads %d, collapsed %d, shed %d, redis errors %d\n",
		r.Loads, c.LocalHits, c.RemoteHits, c.Misses, c.Loads, c.Collapsed, c.Shed, c.RedisErrors)
	b.WriteString(r.Summary.String())
	if len(r.Violations) > 0 {
		fmt.Fprintf(&b, "faults before the first violation: %s\n", r.Around)
		fmt.Fprintf(&b, "the record is in %s\n", r.Saved)
	}
	return b.String()
}

// Idle lists what never or hardly ever happened; a run that lacks it proves nothing. With all, every operation and fault must have
// happened, as in a run of a minute. A shorter run may be on a busy machine all the time: a tenth is enough.
func (r *Report) Idle(all bool) (missing []string) {
	tenths := int(r.Options.Time.Seconds())
	if all {
		tenths *= 10
	}
	for name, enough := range map[string]bool{
		"local hits":  r.Tiers[history.Local] >= 10*tenths,
		"remote hits": r.Tiers[history.Remote] >= 2*tenths,
		"loads":       r.Ops[history.Load] >= 2*tenths,
		"faults":      len(r.Faults) > 0,
	} {
		if !enough {
			missing = append(missing, name)
		}
	}
	if all {
		for kind := history.Read; kind <= history.Clear; kind++ {
			if r.Ops[kind] == 0 {
				missing = append(missing, kind.String())
			}
		}
		for _, f := range faults() {
			if (f.in == nil || slices.Contains(f.in, r.Options.Topology)) && r.Faults[f.name] == 0 {
				missing = append(missing, "the fault "+f.name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// listed formats counters in the order of their names.
func listed[K ~string | ~uint8](n map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%v %d", k, n[k]))
	}
	return strings.Join(parts, ", ")
}
