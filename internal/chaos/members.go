//go:build !windows

package chaos

import "time"

// workerFaults are those of the workers' processes.
func workerFaults() []fault {
	return []fault{
		{"kill a worker", workers, nil, (*injector).killWorker},
		{"freeze a worker", workers, nil, (*injector).freezeWorker},
	}
}

// killWorker ends one that holds leases, and starts another in its place.
func (in *injector) killWorker() {
	s := in.slot()
	s.worker.kill()
	in.killed.Add(1)
	in.hold(0, 500*time.Millisecond)
	if err := in.fleet.fill(s); err != nil {
		in.t.Error(err)
	}
}

// freezeWorker stops one for longer than Delta, so that it wakes with proofs that have run out. That is no outage: it
// reaches Redis as soon as it runs.
func (in *injector) freezeWorker() {
	s := in.slot()
	if err := s.worker.freeze(); err != nil {
		in.t.Errorf("chaos: freezing a worker: %v", err)
	}
	in.hold(in.options.Delta(), in.options.Delta()+1500*time.Millisecond)
	if err := s.worker.thaw(); err != nil {
		in.t.Errorf("chaos: thawing a worker: %v", err)
	}
}
