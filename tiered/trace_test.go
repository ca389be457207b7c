package tiered_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Who is told of a stale value of a batch may ask for what the batch has found besides, and for what it loads.
func TestTraceAsksForKeysOfItsBatch(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"in a lookup": true, "in a job": false} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			policy := tiered.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour}
			writer := newProcess(t, s, quiet, policy)
			set(t, writer, "fresh", "fresh's")
			set(t, writer.With(func(p *tiered.Policy) { *p = brief(*p) }), "stale", "old")
			isStale(t, writer, "stale")
			var c *tiered.Cache[string]
			var told atomic.Int32
			type request string // a context key
			c = newCache(t, tiered.Options[string]{Redis: newRedis(t, s, quiet), Policy: policy, Trace: &tiered.Trace{
				StaleServed: func(ctx context.Context, key string, cause error) {
					if told.Add(1); key != "stale" || cause != nil || ctx.Value(request("of")) != "the caller" {
						t.Errorf("told of %q, %v, with %v", key, cause, ctx)
					}
					gets(t, c, "fresh", noLoad[string](t), "fresh's")
					gets(t, c, "missing", value("missing's"), "missing's")
				},
			}})
			if known {
				set(t, c, "to know the cache's epoch", "")
			}
			batch := begun(func() (string, error) {
				ctx := context.WithValue(t.Context(), request("of"), "the caller")
				got, err := tiered.GetOrLoadMany(ctx, c, []string{"stale", "fresh", "missing"}, self,
					func(_ context.Context, ids []string) (map[string]string, error) {
						return map[string]string{ids[0]: ids[0] + "'s"}, nil
					})
				if got["fresh"] != "fresh's" || got["missing"] != "missing's" {
					t.Errorf("got %v", got)
				}
				return got["stale"], err
			})
			batch.gets(t, "old")
			if n := told.Load(); n != 1 || c.Stats().Stale != 1 {
				t.Errorf("told %d times, %+v", n, c.Stats())
			}
		})
	}
}

// Each caller that waited for a stale value is told of it.
func TestTraceOfWhoWaitedForAStaleValue(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	h := newHoldup("k")
	client.AddHook(h)
	policy := tiered.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour}
	set(t, newProcess(t, s, quiet, policy).With(func(p *tiered.Policy) { *p = brief(*p) }), "k", "old")
	isStale(t, newProcess(t, s, quiet, policy), "k")
	var told atomic.Int32
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, quiet), Policy: policy, Trace: &tiered.Trace{
		StaleServed: func(context.Context, string, error) { told.Add(1) },
	}})
	set(t, c, "to know the cache's epoch", "")
	first := begin(t, c, "k", value("new"))
	<-h.there
	other := begin(t, c, "k", noLoad[string](t))
	waitFor(t, func() bool { return c.Stats().Collapsed == 1 })
	close(h.release)
	first.gets(t, "old")
	other.gets(t, "old")
	if n := told.Load(); n != 2 || c.Stats().Stale != 2 {
		t.Errorf("told %d times, %+v", n, c.Stats())
	}
}
