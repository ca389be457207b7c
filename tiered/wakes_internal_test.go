package tiered

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"
)

// For the race detector: leases are extended while loads begin and end.
func TestLeaseIsExtendedMeanwhile(t *testing.T) {
	t.Parallel()
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
