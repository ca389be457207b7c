package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// The LoadTimeout of a load is that of the view that began it. A view with a longer one that waited in vain loads by itself.
func TestViewWaitsForAShorterLoad(t *testing.T) {
	type view = tiered.Cache[string]
	calls := map[string]func(ctx context.Context, c *view, load tiered.Loader[string]) (string, error){
		"GetOrLoad": func(ctx context.Context, c *view, load tiered.Loader[string]) (string, error) {
			return c.GetOrLoad(ctx, "k", load)
		},
		"Refresh": func(ctx context.Context, c *view, load tiered.Loader[string]) (string, error) {
			return c.Refresh(ctx, "k", load)
		},
		"GetOrLoadMany": func(ctx context.Context, c *view, load tiered.Loader[string]) (string, error) {
			got, err := tiered.GetOrLoadMany(ctx, c, []string{"k"}, self, func(ctx context.Context, ids []string) (map[string]string, error) {
				v, err := load(ctx, nil)
				if err != nil {
					return nil, err // a value beside the error would count
				}
				return map[string]string{"k": v}, nil
			})
			return got["k"], err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{LoadTimeout: 10 * time.Second}})
				short := c.With(func(p *tiered.Policy) { p.LoadTimeout = time.Second })
				slow := func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
					select {
					case <-time.After(3 * time.Second):
						return "v", nil
					case <-ctx.Done():
						return "", ctx.Err()
					}
				}
				var callers sync.WaitGroup
				callers.Go(func() {
					if v, err := call(t.Context(), short, slow); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("the view with the short LoadTimeout got %q, %v", v, err)
					}
				})
				synctest.Wait()
				began := time.Now()
				for range 5 {
					callers.Go(func() {
						if v, err := call(t.Context(), c, slow); v != "v" || err != nil {
							t.Errorf("got %q, %v", v, err)
						}
					})
				}
				callers.Wait()
				if n := c.Stats().Loads; n != 2 || time.Since(began) != 4*time.Second {
					t.Errorf("%d loads in %v", n, time.Since(began))
				}
			})
		})
	}
}

// However many loads of a shorter view come in between, a longer one isn't kept waiting by them for ever.
func TestViewAmongShorterLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: tiered.Policy{LoadTimeout: 10 * time.Second}})
		short := c.With(func(p *tiered.Policy) { p.LoadTimeout = time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				for ctx.Err() == nil {
					_, _ = short.GetOrLoad(ctx, "k", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
						<-ctx.Done()
						return "", fmt.Errorf("too slow: %w", ctx.Err())
					})
				}
			})
		}
		synctest.Wait()
		v, err := c.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
			time.Sleep(3 * time.Second)
			return "v", nil
		})
		if v != "v" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		cancel()
		callers.Wait()
	})
}
