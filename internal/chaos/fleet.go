//go:build !windows

package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/history"
)

// fleet is the workers.
type fleet struct {
	options Options
	plan    plan // without detours
	source  string
	dir     string // for journals and logs
	callers int    // if not 0, the work is a stampede of so many in each
	slots   []*slot
	started atomic.Int64 // incarnations
}

// slot is the place of a worker. Its proxies outlive the worker.
type slot struct {
	index    int
	proxies  []*faultproxy.Proxy
	detours  map[string]string
	worker   *process
	alive    []int    // the incarnations there have been
	journals []string // theirs
}

func newFleet(o Options, p plan, source, dir string) *fleet {
	return &fleet{options: o, plan: p, source: source, dir: dir}
}

// launch fills all slots. Every worker reaches each of the servers through a proxy of its own.
func (f *fleet) launch(servers []string) error {
	for i := range f.options.Workers {
		s := &slot{index: i, detours: map[string]string{}}
		f.slots = append(f.slots, s)
		for _, addr := range servers {
			proxy, err := faultproxy.New(addr)
			if err != nil {
				return err
			}
			s.proxies = append(s.proxies, proxy)
			s.detours[addr] = proxy.Addr()
		}
		if err := f.fill(s); err != nil {
			return err
		}
	}
	return nil
}

// fill starts the next worker of a slot.
func (f *fleet) fill(s *slot) error {
	incarnation := int(f.started.Add(1))
	p := f.plan
	p.Detours, p.Timeout, p.Lag = s.detours, 3*f.options.Timeout, f.options.focus().lag
	w, err := startProcess(assignment{
		Incarnation: incarnation, Slot: s.index, Options: f.options, Plan: p, Source: f.source, Callers: f.callers,
	}, f.dir)
	if err != nil {
		return fmt.Errorf("worker %d: %w", incarnation, err)
	}
	s.worker = w
	s.alive = append(s.alive, incarnation)
	s.journals = append(s.journals, w.journal)
	return nil
}

// finish ends all workers in good order and adds up what they counted.
func (f *fleet) finish() (sum tally, err error) {
	for _, s := range f.slots {
		var t tally
		err = errors.Join(err, s.worker.finish(&t))
		sum.add(t.Stats)
	}
	return sum, err
}

// close ends everything, whatever state it is in.
func (f *fleet) close() {
	for _, s := range f.slots {
		if s.worker != nil {
			s.worker.kill()
		}
		for _, p := range s.proxies {
			p.Close()
		}
	}
}

// ops reads all journals.
func (f *fleet) ops() (all []history.Op, err error) {
	for _, s := range f.slots {
		for _, path := range s.journals {
			file, err := os.Open(path)
			if err != nil {
				return nil, err
			}
			ops, err := history.ReadOps(file)
			if err = errors.Join(err, file.Close()); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, ops...)
		}
	}
	return all, nil
}

// saveLogs copies what the workers wrote to standard error.
func (f *fleet) saveLogs(dir string) error {
	logs, err := filepath.Glob(filepath.Join(f.dir, "*.log"))
	for _, path := range logs {
		text, readErr := os.ReadFile(path)
		if err = errors.Join(err, readErr); err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600)
		}
	}
	return err
}

// processes returns the numbers that the slot's caches had in the record.
func (s *slot) processes() (all []int) {
	for _, incarnation := range s.alive {
		for c := range caches {
			all = append(all, processID(incarnation, c))
		}
	}
	return all
}
