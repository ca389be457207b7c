package tiered_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Caches with default options take memory for what they have, not for what they may have. The test isn't parallel, since it measures
// the heap of the process.
func TestMemoryOfCachesWithFewEntries(t *testing.T) {
	const caches, most = 20, 600 << 10 // bytes each; half of them is ristretto's queue
	for _, name := range []string{"in-process", "with Redis"} {
		t.Run(name, func(t *testing.T) {
			var r *tiered.Redis
			if name != "in-process" {
				r = newRedis(t, redistest.Start(t), tiered.RedisOptions{})
			}
			before := liveHeap()
			for i := range caches {
				c, err := tiered.New(tiered.Options[int]{Name: fmt.Sprint("memory", i), Redis: r, Policy: longLived})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				for n := range 10 {
					load := func(context.Context, *tiered.Entry[int]) (int, error) { return n, nil }
					if _, err := c.GetOrLoad(t.Context(), fmt.Sprint(n), load); err != nil {
						t.Fatal(err)
					}
				}
			}
			if each := (liveHeap() - before) / caches; each > most {
				t.Errorf("a cache takes %d bytes of heap, want at most %d", each, most)
			} else {
				t.Logf("a cache takes %d bytes of heap", each)
			}
		})
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // a second one, for objects with finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
