//go:build !windows

package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/history"
)

// stampedeDelay is how long the workers have to start their callers' goroutines.
const stampedeDelay = 200 * time.Millisecond

// Stampede starts the given number of callers in each worker, which all ask for one cold key at once. Loading it takes
// the source a given time. Stampede returns what each worker's callers got, and the number of loads.
func Stampede(t testing.TB, o Options, callers int, takes time.Duration) (results []StampedeResult, loads int64) {
	t.Helper()
	d := deploy(t, o.Topology)
	src, err := startSource(o.Seed, span{takes, takes})
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	ws := newWorkerSet(o, d.plan, src.address, t.TempDir())
	ws.callers = callers
	defer ws.close()
	if err := ws.launch(nil); err != nil {
		t.Fatal(err)
	}
	results = make([]StampedeResult, len(ws.slots))
	start := history.Clock() + int64(stampedeDelay)
	var all sync.WaitGroup
	for i, s := range ws.slots {
		all.Go(func() {
			if _, err := fmt.Fprintln(s.worker.input, start); err != nil {
				t.Error(err)
			}
			if err := s.worker.finish(&results[i]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return results, src.loads.Load()
}

// StampedeResult is what the callers in one worker got in a stampede.
type StampedeResult struct {
	Values map[int64]int // callers by the ID of their value
	Errors map[string]int
	Took   time.Duration
}

// stampede has all callers ask for one cold key at once, at a time of history's clock, and returns what they got.
func (w *worker) stampede(ctx context.Context, at int64) StampedeResult {
	m := w.instances[0]
	got := StampedeResult{Values: map[int64]int{}, Errors: map[string]int{}}
	load := w.loader(m, &intent{})
	var mu sync.Mutex
	var callers sync.WaitGroup
	begin := make(chan struct{})
	for range w.Callers {
		callers.Go(func() {
			<-begin
			v, err := m.cache.GetOrLoad(ctx, "cold", load)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				got.Errors[err.Error()]++
				return
			}
			got.Values[v.ID]++
		})
	}
	pause(ctx, time.Duration(at-history.Clock()))
	start := time.Now()
	close(begin)
	callers.Wait()
	got.Took = time.Since(start)
	return got
}
