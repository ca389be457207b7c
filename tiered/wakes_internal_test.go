package tiered

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A key state that others still use doesn't accumulate the wake channels of ended loads.
func TestWakesOfEndedLoads(t *testing.T) {
	r, err := NewRedis(redistest.Start(t).Client(t), RedisOptions{Timeout: 5 * time.Second, Invalidation: None})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := New(Options[int]{Name: "test", Redis: r})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := c.keys.ref("k", c.hash("k")) // as overlapping Gets do
	defer c.keys.release(h)
	for range 200 {
		_, _ = c.GetOrLoad(t.Context(), "k", func(context.Context, *Entry[int]) (int, error) { return 0, ErrNotFound })
	}
	s := c.keys.shard(h.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(h.guard.wakes); n > 1 {
		t.Errorf("%d wake channels of ended loads", n)
	}
}

// For the race detector: leases are extended while loads begin and end.
func TestLeaseIsExtendedMeanwhile(t *testing.T) {
	c := openInside(t, Options[int]{Policy: Policy{LoadTimeout: 150 * time.Millisecond}})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 15 {
				ids := make([]string, 200)
				for i := range ids {
					ids[i] = strconv.Itoa(g) + ":" + strconv.Itoa(n) + ":" + strconv.Itoa(i)
				}
				_, _ = GetOrLoadMany(t.Context(), c, ids, func(id string) string { return id },
					func(ctx context.Context, ids []string) (map[string]int, error) {
						time.Sleep(time.Duration(46+2*(n%4)) * time.Millisecond)
						return nil, nil
					})
			}
		})
	}
	wg.Wait()
}
