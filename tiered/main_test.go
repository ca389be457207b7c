package tiered_test

import (
	"context"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})     // the servers are killed on purpose
	debug.SetMemoryLimit(2 << 30) // of many caches at once, most of which are garbage
	redistest.Parallel(10)
	goleak.VerifyTestMain(redistest.Reuse(m))
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// newCache makes a cache that is closed with the test. Unless the test says otherwise it is small, because hundreds are made.
func newCache[T any](t testing.TB, o tiered.Options[T]) *tiered.Cache[T] {
	t.Helper()
	if o.MaxCost == 0 && o.Cost == nil {
		o.MaxCost = 1000
	}
	if o.Name == "" {
		o.Name = "test"
	}
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		c = nil // testing keeps this function, and all that it refers to, until the last parallel test ends
	})
	return c
}

// atOnce runs subtests beside each other in the one place that their parent has among the parallel tests, because they wait nearly
// all their time. The parent must call wait.
type atOnce struct {
	t   *testing.T
	all sync.WaitGroup
}

// waitingPlaces has a place for each subtest of all atOnces that may run.
var waitingPlaces = make(chan struct{}, map[bool]int{false: 12, true: 4}[redistest.RaceDetector])

func (a *atOnce) run(name string, test func(*testing.T)) {
	a.all.Go(func() {
		waitingPlaces <- struct{}{}
		defer func() { <-waitingPlaces }()
		a.t.Run(name, test)
	})
}

func (a *atOnce) wait() { a.all.Wait() }

// waitFor waits until something that happens in the background has happened.
func waitFor(t testing.TB, happened func() bool) {
	t.Helper()
	observe.Until(t, "what the test waits for", happened)
}
