package tiered_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// What a loader does when its time is over, even in the same instant, reaches no caller: neither its values nor its panic.
func TestLoaderReturnsAsItsTimeEnds(t *testing.T) {
	broken := errors.New("broken")
	for name, returns := range map[string]func() (string, error){
		"value": func() (string, error) { return "v", nil },
		"error": func() (string, error) { return "v", broken },
		"panic": func() (string, error) { panic("late") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{MaxCost: 100, Policy: tiered.Policy{LoadTimeout: time.Second}})
				for range 100 {
					_, err := c.GetOrLoad(t.Context(), "one", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
						<-ctx.Done()
						return returns()
					})
					got, errs := tiered.GetOrLoadMany(t.Context(), c, []string{"many"}, self, func(ctx context.Context, _ []string) (map[string]string, error) {
						<-ctx.Done()
						v, err := returns()
						return map[string]string{"many": v}, err
					})
					if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(errs, context.DeadlineExceeded) || len(got) > 0 {
						t.Fatalf("%v; %v, %v", err, got, errs)
					}
				}
				if n := c.Stats().LoadErrors; n != 200 {
					t.Errorf("%d loads failed", n)
				}
			})
		})
	}
}
