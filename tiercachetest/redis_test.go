//go:build !windows

package tiercachetest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/tiercachetest"
	"github.com/tiercache/tiercache/tiered"
)

// Each fault keeps a process from Redis, and ends. What the process had stays available.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ begin, end func(r *tiercachetest.Redis) }{
		"killed":  {(*tiercachetest.Redis).Kill, (*tiercachetest.Redis).Restart},
		"frozen":  {(*tiercachetest.Redis).Freeze, (*tiercachetest.Redis).Thaw},
		"refused": {func(r *tiercachetest.Redis) { r.Refuse(true) }, func(r *tiercachetest.Redis) { r.Refuse(false) }},
		"slow":    {func(r *tiercachetest.Redis) { r.Delay(time.Second) }, func(r *tiercachetest.Redis) { r.Delay(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tiercachetest.StartRedis(t)
			tier := r.Tier(t, tiered.RedisOptions{})
			cache := tiercachetest.New(t, tiered.Options[*user]{Redis: tier})
			if _, err := cache.GetOrLoad(t.Context(), "a", loadUser); err != nil {
				t.Fatal(err)
			}
			c.begin(r)
			observe.Until(t, "the process doesn't ask Redis", func() bool { return cache.Stats().BreakerOpen })
			if err := cache.Delete(t.Context(), "b"); !errors.Is(err, tiered.ErrQueued) {
				t.Errorf("%v, want ErrQueued", err)
			}
			c.end(r)
			observe.Until(t, "the process asks Redis again", func() bool { s := cache.Stats(); return !s.BreakerOpen && s.Queued == 0 })
		})
	}
}

// Two tiers are two processes: each hears of the other's changes.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	r := tiercachetest.StartRedis(t)
	a := tiercachetest.New(t, tiered.Options[string]{Redis: r.Tier(t, tiered.RedisOptions{})})
	b := tiercachetest.New(t, tiered.Options[string]{Redis: r.Tier(t, tiered.RedisOptions{})})
	for _, value := range []string{"one", "two"} {
		if err := a.Set(t.Context(), "k", value); err != nil {
			t.Fatal(err)
		}
		observe.Until(t, "the other process reads "+value, func() bool {
			v, err := b.Get(t.Context(), "k")
			return err == nil && v == value
		})
	}
	r.Cut() // connections are replaced
	observe.Until(t, "a write succeeds", func() bool { return a.Set(t.Context(), "k", "three") == nil })
}
