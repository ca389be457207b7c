package tiered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// failing returns a cache of stale values, k0 to kn-1, whose loads fail and aren't repeated for an hour.
func failing(t *testing.T, n int) (c *Cache[string], keys []string) {
	t.Helper()
	c, err := New(Options[string]{
		Name:    "test",
		MaxCost: 100,
		Policy:  Policy{TTL: time.Minute, StaleIfError: 24 * time.Hour, RetryAfter: time.Hour, Jitter: -1},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		keys = append(keys, fmt.Sprint("k", i))
		if err := c.Set(t.Context(), keys[i], "old"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Minute)
	return c, keys
}

// Close ends the time for which a failing source isn't asked again: no timer and no state of a key is left behind it.
func TestCloseEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, keys := failing(t, 2)
		broken := func(context.Context, *Entry[string]) (string, error) { return "", errors.New("broken") }
		if v, err := c.GetOrLoad(t.Context(), "k0", broken); v != "old" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		hangs := func(ctx context.Context, _ *Entry[string]) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		go func() { _, _ = c.GetOrLoad(t.Context(), "k1", hangs) }()
		synctest.Wait()
		if n := c.keys.Len(); n != len(keys) {
			t.Errorf("%d keys have a state before Close, want %d", n, len(keys))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n := c.keys.Len(); n != 0 || c.retries.Len() != 0 {
			t.Errorf("Close leaves the states of %d keys and %d timers", n, c.retries.Len())
		}
		synctest.Wait()
	})
}

// A failing source is asked again when RetryAfter has passed, and nothing of the earlier load is left.
func TestRetriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := failing(t, 1)
		defer c.Close()
		loads := 0
		broken := func(context.Context, *Entry[string]) (string, error) { loads++; return "", errors.New("broken") }
		for want := 1; want <= 3; want++ {
			for range 2 {
				if v, err := c.GetOrLoad(t.Context(), "k0", broken); v != "old" || err != nil || loads != want {
					t.Errorf("%q, %v after %d loads, want %d", v, err, loads, want)
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if n := c.keys.Len(); n != 0 || c.retries.Len() != 0 {
				t.Errorf("the states of %d keys and %d timers are left", n, c.retries.Len())
			}
		}
	})
}

// Loads that fail, and timers that end, while the cache closes leave nothing behind.
func TestRetriesRaceClose(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			c, keys := failing(t, 20)
			var calls sync.WaitGroup
			for i, key := range keys {
				calls.Go(func() {
					time.Sleep(time.Duration(i%3) * time.Millisecond) // the cache closes after one
					_, err := c.GetOrLoad(t.Context(), key, func(context.Context, *Entry[string]) (string, error) {
						return "", errors.New("broken")
					})
					if err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				})
			}
			calls.Go(func() {
				time.Sleep(time.Millisecond)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			calls.Wait()
			if n := c.keys.Len(); n != 0 {
				t.Errorf("Close leaves the states of %d keys", n)
			}
		})
	}
}

// Retries whose time ends as the cache closes are removed once.
func TestRetriesEndWithClose(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			c, keys := failing(t, 20)
			for _, key := range keys {
				if _, err := c.GetOrLoad(t.Context(), key, func(context.Context, *Entry[string]) (string, error) {
					return "", errors.New("broken")
				}); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Hour)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if n := c.keys.Len(); n != 0 {
				t.Errorf("Close leaves the states of %d keys", n)
			}
		})
	}
}
