//go:build !windows

package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

const (
	slack = 50 * time.Millisecond // how long a busy machine may delay a goroutine
	lease = loadTimeout           // how long a load may hold its lease whose end wasn't recorded
)

// record merges the journals, notes and faults into one record.
func (r *run) record() (*history.Record, error) {
	ops, err := r.workers.ops()
	if err != nil {
		return nil, err
	}
	record := &history.Record{
		Delta: r.options.Delta(), Slack: slack, Lease: lease, Releases: r.workers.releases, MaxLoads: r.options.MaxLoads,
		Ops:  slices.Concat(ops, r.foreign.ops),
		Lost: make(map[int64]string),
	}
	aftermath := 2 * r.options.Delta() // after a fault, until what it delayed has ended
	for _, e := range r.injected {
		record.Disturbed = append(record.Disturbed, history.Window{Process: -1, Start: e.Start, End: e.End + int64(aftermath)})
	}
	notes, err := r.workers.notes()
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		if n.Unverified {
			record.Outages = append(record.Outages, n.Window)
		} else {
			record.Disturbed = append(record.Disturbed, n.Window)
		}
	}
	for _, o := range r.outages {
		for _, s := range o.slots {
			for _, p := range s.processes() {
				record.Outages = append(record.Outages, history.Window{Process: p, Start: o.start, End: o.end})
			}
		}
	}
	for i := range record.Ops {
		for _, l := range r.losses {
			if why := l.evidence(&record.Ops[i]); why != "" {
				record.Lost[record.Ops[i].ID] = why
			}
		}
	}
	return record, nil
}

// save writes a record and the workers' logs to a new directory.
func (r *run) save(record *history.Record) (dir string, err error) {
	dir, err = os.MkdirTemp("", fmt.Sprintf("tiercache-chaos-%s-seed%d-", r.options.Topology, r.options.Seed))
	if err != nil {
		return "", err
	}
	file, err := os.Create(filepath.Join(dir, "ops.log"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	log := history.NewLog(file)
	for _, op := range record.Ops {
		log.Append(op)
	}
	if err := log.Flush(); err != nil {
		return "", err
	}
	rest := *record
	rest.Ops = nil
	text, err := json.MarshalIndent(struct {
		Options
		history.Record
		Faults []injectedFault
	}{r.options, rest, r.injected}, "", "\t")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "record.json"), text, 0o600); err != nil {
		return "", err
	}
	return dir, r.workers.saveLogs(dir)
}
