//go:build !windows

package chaos

import (
	"context"
	"sync"
	"testing"
)

// Run runs the workload while it injects faults, and returns the report. It fails the test if it can't do that.
func Run(t testing.TB, o Options) *Report {
	t.Helper()
	dir := t.TempDir()
	r := &run{t: t, options: o, deployment: deploy(t, o.Topology)}
	var err error
	if r.source, err = startSource(o.Seed, o.focus().load); err != nil {
		t.Fatal(err)
	}
	defer r.source.close()
	r.workers = newWorkerSet(o, r.deployment.plan, r.source.address, dir)
	defer r.workers.close()
	if err := r.workers.launch(r.deployment.addrs()); err != nil {
		t.Fatal(err)
	}
	r.foreign = newForeignWriter(o, r.deployment.plan)
	r.execute()
	if err := r.foreign.close(); err != nil {
		t.Error(err)
	}
	counted, err := r.workers.finish()
	if err != nil {
		t.Error(err)
	}
	record, err := r.record()
	if err != nil {
		t.Fatal(err)
	}
	return r.report(record, counted)
}

// execute runs the workload and the faults for the duration of the run, and until the last fault has ended.
func (r *run) execute() {
	ctx, cancel := context.WithTimeout(context.Background(), r.options.Time)
	defer cancel()
	in := &injector{run: r, Context: ctx}
	in.expectMasters()
	var all sync.WaitGroup
	if r.options.Focus == "" {
		all.Go(func() { r.foreign.run(ctx) })
	}
	all.Go(func() { r.listen(ctx, r.options.Listeners) })
	all.Go(func() { <-ctx.Done() }) // a focus may have no faults
	all.Go(func() { r.schedule(ctx) })
	all.Wait()
	in.checkMasters()
}
