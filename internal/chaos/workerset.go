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

// workerSet holds the worker processes.
type workerSet struct {
	options Options
	plan    plan // without detours
	source  string
	dir     string // for journals and logs
	callers int    // if not 0, the workload is a stampede of so many callers in each worker
	slots   []*slot
	started atomic.Int64 // incarnations

	replaced tally       // of the workers that were shut down for one of the next release
	releases map[int]int // by process number in the record
}

// slot is a worker and its successors. Its proxies outlive a worker.
type slot struct {
	index        int
	proxies      []*faultproxy.Proxy
	detours      map[string]string
	release      int
	worker       *process
	incarnations []int    // the incarnations there have been
	journals     []string // theirs
}

func newWorkerSet(o Options, p plan, source, dir string) *workerSet {
	return &workerSet{options: o, plan: p, source: source, dir: dir, releases: make(map[int]int)}
}

// launch starts a worker in each slot. Every worker reaches each server through a proxy of its own.
func (ws *workerSet) launch(servers []string) error {
	for i := range ws.options.Workers {
		s := &slot{index: i, detours: map[string]string{}, release: 1}
		ws.slots = append(ws.slots, s)
		for _, addr := range servers {
			proxy, err := faultproxy.New(addr)
			if err != nil {
				return err
			}
			s.proxies = append(s.proxies, proxy)
			s.detours[addr] = proxy.Addr()
		}
		if err := ws.startWorker(s); err != nil {
			return err
		}
	}
	return nil
}

// startWorker starts the next worker of a slot.
func (ws *workerSet) startWorker(s *slot) error {
	incarnation := int(ws.started.Add(1))
	p := ws.plan
	p.Detours, p.Timeout, p.Lag = s.detours, 3*ws.options.Timeout, ws.options.focus().lag
	w, err := startProcess(assignment{
		Incarnation: incarnation, Slot: s.index, Release: s.release, Options: ws.options, Plan: p, Source: ws.source, Callers: ws.callers,
	}, ws.dir)
	if err != nil {
		return fmt.Errorf("worker %d: %w", incarnation, err)
	}
	s.worker = w
	s.incarnations = append(s.incarnations, incarnation)
	s.journals = append(s.journals, w.journal)
	for c := range cachesPerWorker {
		ws.releases[processID(incarnation, c)] = s.release
	}
	return nil
}

// deploy replaces a slot's worker by one of the next release.
func (ws *workerSet) deploy(s *slot) error {
	var t tally
	if err := s.worker.finish(&t); err != nil {
		return err
	}
	ws.replaced.add(t.Stats)
	s.release++
	return ws.startWorker(s)
}

// finish shuts all workers down and adds up their counters, and those of the workers that were replaced.
func (ws *workerSet) finish() (sum tally, err error) {
	sum = ws.replaced
	for _, s := range ws.slots {
		var t tally
		err = errors.Join(err, s.worker.finish(&t))
		sum.add(t.Stats)
	}
	return sum, err
}

// close kills all workers and closes their proxies.
func (ws *workerSet) close() {
	for _, s := range ws.slots {
		if s.worker != nil {
			s.worker.kill()
		}
		for _, p := range s.proxies {
			p.Close()
		}
	}
}

// ops returns the operations in all journals.
func (ws *workerSet) ops() (all []history.Op, err error) {
	for _, s := range ws.slots {
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

// saveLogs copies the workers' standard error to dir.
func (ws *workerSet) saveLogs(dir string) error {
	logs, err := filepath.Glob(filepath.Join(ws.dir, "*.log"))
	for _, path := range logs {
		text, readErr := os.ReadFile(path)
		if err = errors.Join(err, readErr); err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600)
		}
	}
	return err
}

// processes returns the process numbers of the slot's caches in the record.
func (s *slot) processes() (all []int) {
	for _, incarnation := range s.incarnations {
		for c := range cachesPerWorker {
			all = append(all, processID(incarnation, c))
		}
	}
	return all
}
