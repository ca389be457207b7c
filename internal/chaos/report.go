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

// Report is what a run has found.
type Report struct {
	Options Options
	history.Summary
	Faults   map[string]int
	Counted  tally // by the workers that lived to the end
	Tiers    map[history.Tier]int
	Loads    int64  // that the source was asked for
	Restarts int64  // of workers
	Evicted  int64  // keys
	Lost     int    // acknowledged writes, by a failover
	Usurped  int    // failovers that nobody asked for: what they lost is unknown
	Around   string // the faults around the first violation
	Saved    string // where the record is
}

func (r *run) report(record *history.Record, counted tally) *Report {
	rep := &Report{
		Options: r.options, Summary: history.Check(record), Faults: make(map[string]int), Counted: counted,
		Tiers: make(map[history.Tier]int), Loads: r.source.loads.Load(), Restarts: r.killed.Load(),
		Evicted: r.evicted.Load(), Lost: len(record.Lost), Usurped: r.usurped,
	}
	for i := range record.Ops {
		if op := &record.Ops[i]; op.Kind == history.Read && op.OK {
			rep.Tiers[op.Tier]++
		}
	}
	for _, e := range r.episodes {
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

// around tells which faults there were shortly before a time.
func (r *run) around(at int64) string {
	var b strings.Builder
	for _, e := range r.episodes {
		if since := time.Duration(at - e.End); e.Start < at && since < valueTTL {
			fmt.Fprintf(&b, "%s (from %v to %v) ", e.Fault, time.Duration(e.Start-at).Round(time.Millisecond), -since.Round(time.Millisecond))
		}
	}
	return strings.TrimSpace(b.String())
}

// String is the report as one reads it.
func (r *Report) String() string {
	var b strings.Builder
	o, c := r.Options, r.Counted
	fmt.Fprintf(&b, "%s for %v, seed %d, %d workers of %d caches, local capacity %d (0: no limit here)\n",
		o.Topology, o.Time, o.Seed, o.Workers, caches, o.MaxCost)
	fmt.Fprintf(&b, "faults: %s\n", listed(r.Faults))
	fmt.Fprintf(&b, "workers killed %d, keys evicted %d, writes lost %d, failovers that nobody asked for %d\n",
		r.Restarts, r.Evicted, r.Lost, r.Usurped)
	fmt.Fprintf(&b, "reads that saw a value: %s\n", listed(r.Tiers))
	fmt.Fprintf(&b, "source asked %d times; caches counted local hits %d, remote hits %d, misses %d, loads %d, collapsed %d, redis errors %d\n",
		r.Loads, c.LocalHits, c.RemoteHits, c.Misses, c.Loads, c.Collapsed, c.RedisErrors)
	b.WriteString(r.Summary.String())
	if len(r.Violations) > 0 {
		fmt.Fprintf(&b, "faults before the first violation: %s\n", r.Around)
		fmt.Fprintf(&b, "the record is in %s\n", r.Saved)
	}
	return b.String()
}

// Idle says what did not happen, or hardly: such a run proves nothing. All is what a run of a minute should have seen. A
// shorter one may have a machine to itself for none of its time: a tenth will do.
func (r *Report) Idle(all bool) (missing []string) {
	tenths := int(r.Options.Time.Seconds())
	if all {
		tenths *= 10
	}
	for what, enough := range map[string]bool{
		"local hits":  r.Tiers[history.Local] >= 10*tenths,
		"remote hits": r.Tiers[history.Remote] >= 2*tenths,
		"loads":       r.Ops[history.Load] >= 2*tenths,
		"faults":      len(r.Faults) > 0,
	} {
		if !enough {
			missing = append(missing, what)
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

// listed is what was counted, in the order of the names.
func listed[K ~string | ~uint8](n map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%v %d", k, n[k]))
	}
	return strings.Join(parts, ", ")
}
