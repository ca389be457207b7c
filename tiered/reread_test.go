package tiered_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// readsAtOnce counts the commands that read keys and that a client has under way.
type readsAtOnce struct{ now, most atomic.Int64 }

func (r *readsAtOnce) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *readsAtOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *readsAtOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name == "get" || name == "mget" {
			now := r.now.Add(1)
			defer r.now.Add(-1)
			for most := r.most.Load(); now > most && !r.most.CompareAndSwap(most, now); most = r.most.Load() {
			}
		}
		return next(ctx, cmd)
	}
}

// A process waits for another's loads of many keys when all their leases are replaced at once. It reads the keys again with as
// few commands at a time as ever: if each read had a command of its own, an import or a FLUSHALL would take all connections of
// its client.
func TestWaitersReadTogether(t *testing.T) {
	const (
		keys    = 300
		senders = 4 // batches that go to a server at a time
	)
	for mode, invalidation := range modes {
		if invalidation == tiered.PubSub { // it doesn't report what another program writes
			continue
		}
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: invalidation, Timeout: 20 * time.Second}
			loading := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, o), MaxLoads: -1})
			client := s.Client(t)
			var reads readsAtOnce
			client.AddHook(&reads)
			var waits atomic.Int64
			waiting := newCache(t, tiered.Options[string]{
				Redis: openedRedis(t, client, o), MaxLoads: -1,
				Trace: &tiered.Trace{WaitStart: func(ctx context.Context, w tiered.WaitInfo) context.Context {
					if w.Process {
						waits.Add(1)
					}
					return ctx
				}},
			})
			hold, loads := make(chan struct{}), new(atomic.Int64)
			var calls []*call
			foreign := []any{"MSET"}
			for i := range keys {
				key := fmt.Sprint(i)
				foreign = append(foreign, "tc:test:"+key, `"theirs"`)
				calls = append(calls, begin(t, loading, key, func(context.Context, *tiered.Entry[string]) (string, error) {
					loads.Add(1)
					<-hold
					return "ours", nil
				}))
			}
			waitFor(t, func() bool { return loads.Load() == keys })
			var waiters []*call
			for i := range keys {
				waiters = append(waiters, begin(t, waiting, fmt.Sprint(i), value("not loaded")))
			}
			waitFor(t, func() bool { return waits.Load() == keys })
			s.Do(foreign...)
			for i, c := range waiters {
				if v, err := c.wait(t); v != "theirs" || err != nil {
					t.Errorf("%d: %q, %v", i, v, err)
				}
			}
			if most := reads.most.Load(); most > senders {
				t.Errorf("%d reads at a time", most)
			}
			close(hold)
			for i, c := range calls {
				if _, err := c.wait(t); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
}
