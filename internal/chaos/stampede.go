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

// headStart is what the workers have to get their callers to the line.
const headStart = 200 * time.Millisecond

// Stampede has so many callers in each of the workers ask for one cold key at once, which takes the source a time to
// load. It returns what each worker's callers got, and how often the source was asked.
func Stampede(t testing.TB, o Options, callers int, takes time.Duration) (rushes []Rush, loads int64) {
	t.Helper()
	d := deploy(t, o.Topology)
	src, err := startSource(o.Seed, span{takes, takes})
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	f := newFleet(o, d.plan, src.address, t.TempDir())
	f.callers = callers
	defer f.close()
	if err := f.launch(nil); err != nil {
		t.Fatal(err)
	}
	rushes = make([]Rush, len(f.slots))
	gun := history.Clock() + int64(headStart)
	var all sync.WaitGroup
	for i, s := range f.slots {
		all.Go(func() {
			if _, err := fmt.Fprintln(s.worker.input, gun); err != nil {
				t.Error(err)
			}
			if err := s.worker.finish(&rushes[i]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return rushes, src.loads.Load()
}

// Rush is what the callers in one worker got in a stampede.
type Rush struct {
	Values map[int64]int // how many got which
	Errors map[string]int
	Took   time.Duration
}

// stampede has all callers ask for one cold key at once, at a time of history's clock, and returns what they got.
func (w *worker) stampede(ctx context.Context, at int64) Rush {
	m := w.members[0]
	got := Rush{Values: map[int64]int{}, Errors: map[string]int{}}
	load := w.loader(m, &intent{})
	var mu sync.Mutex
	var callers sync.WaitGroup
	gun := make(chan struct{})
	for range w.Callers {
		callers.Go(func() {
			<-gun
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
	close(gun)
	callers.Wait()
	got.Took = time.Since(start)
	return got
}
