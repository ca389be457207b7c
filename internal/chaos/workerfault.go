//go:build !windows

package chaos

import "time"

// workerFaults returns the faults of the worker processes.
func workerFaults() []fault {
	return []fault{
		{"kill a worker", workers, nil, (*injector).killWorker},
		{"freeze a worker", workers, nil, (*injector).freezeWorker},
		{"deploy", workers, nil, (*injector).deploy},
	}
}

// killWorker kills a worker, which may hold leases, and starts another in its slot.
func (in *injector) killWorker() {
	s := in.slot()
	s.worker.kill()
	in.killed.Add(1)
	in.hold(0, 500*time.Millisecond)
	if err := in.workers.startWorker(s); err != nil {
		in.t.Error(err)
	}
}

// freezeWorker freezes a worker for longer than Delta, so that its validities have ended when it continues. That is no outage:
// it can reach Redis as soon as it runs.
func (in *injector) freezeWorker() {
	s := in.slot()
	if err := s.worker.Freeze(); err != nil {
		in.t.Errorf("chaos: freezing a worker: %v", err)
	}
	in.hold(in.options.Delta(), in.options.Delta()+1500*time.Millisecond)
	if err := s.worker.Thaw(); err != nil {
		in.t.Errorf("chaos: thawing a worker: %v", err)
	}
}

// deploy replaces one worker by one of the next release, which has another type of values. The workers take turns, so releases run
// beside each other until the next deploy, as while a service is being deployed.
func (in *injector) deploy() {
	all := in.workers.slots
	s := all[in.deployed.Add(1)%int64(len(all))]
	if err := in.workers.deploy(s); err != nil {
		in.t.Error(err)
	}
}
