package tiered_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// G4. What another program wrote expires while two processes read it: one of them loads.
func TestForeignValueRunsOut(t *testing.T) {
	t.Parallel()
	s, a, b := twoProcesses(t, tiered.Tracking)
	var running atomic.Int32
	load := func(context.Context, *tiered.Entry[string]) (string, error) {
		if running.Add(1) > 1 {
			t.Error("two loads at the same time")
		}
		time.Sleep(2 * time.Millisecond) // for as long as the other takes to begin one
		running.Add(-1)
		return "loaded", nil
	}
	for range 100 {
		s.Do("SET", "tc:test:k", `"foreign"`, "PX", 2)
		var wg sync.WaitGroup
		for _, c := range []*tiered.Cache[string]{a, b} {
			wg.Go(func() {
				for v := ""; v != "loaded"; {
					var err error
					if v, err = c.GetOrLoad(t.Context(), "k", load); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}
