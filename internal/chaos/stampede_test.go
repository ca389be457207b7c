//go:build !windows

package chaos_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/chaos"
)

// Ten thousand callers in four processes want one cold key: the source is asked once.
func TestStampede(t *testing.T) {
	const (
		workers = 4
		callers = 2_500
		takes   = 50 * time.Millisecond
	)
	o := chaos.Defaults(chaos.Single, *flagSeed)
	o.Workers = workers
	o.Timeout = time.Second // so many callers are slow, and must not open the breaker
	results, loads := chaos.Stampede(t, o, callers, takes)
	if loads != 1 {
		t.Errorf("the source was asked %d times, want 1", loads)
	}
	values := map[int64]int{}
	for i, r := range results {
		t.Logf("process %d: %d callers took %v, the load alone %v", i, callers, r.Took.Round(100*time.Microsecond), takes)
		for id, n := range r.Values {
			values[id] += n
		}
		for err, n := range r.Errors {
			t.Errorf("process %d: %d callers got the error %q", i, n, err)
		}
	}
	if len(values) != 1 {
		t.Errorf("callers got %d different values, want 1: %v", len(values), values)
	}
}
