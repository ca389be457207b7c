//go:build !windows

package outage

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const (
	callRate   = 10_000                 // calls a second
	callerTime = 500 * time.Millisecond // how long a caller waits
	batchTime  = 2 * time.Millisecond   // calls of that time begin together
)

// arrivals are callers of a cache with a fragile source. They come at a constant rate, whatever became of those before, and have little
// patience.
type arrivals struct {
	cache  *tiered.Cache[Value]
	source fragileSource
	next   func() string // returns the key of the next call
}

// run makes calls until ctx ends, and waits for them and their loads.
func (a *arrivals) run(ctx context.Context, t testing.TB) Curve {
	t.Helper()
	var counters []*counter
	started := clock{time.Now()}
	var all sync.WaitGroup
	for made := 0; ctx.Err() == nil; pause(ctx, batchTime) {
		now := started.now()
		for len(counters) <= int(now/binTime) {
			counters = append(counters, new(counter))
		}
		var keys []string
		for ; made < int(now.Seconds()*callRate); made++ {
			keys = append(keys, a.next())
		}
		bin := counters[len(counters)-1]
		all.Go(func() { a.batch(keys, bin) })
	}
	complete := int(started.now() / binTime)
	all.Wait()
	if !await(patience, func() bool { return a.source.running.Load() == 0 && a.cache.Stats().LoadsRunning == 0 }) {
		t.Errorf("outage: %+v", a.cache.Stats())
	}
	return curveOf(counters[:min(complete, len(counters))])
}

// batch makes calls that begin together. They share a context, which costs as much as a call that is a hit.
func (a *arrivals) batch(keys []string, n *counter) {
	ctx, cancel := context.WithTimeout(context.Background(), callerTime)
	defer cancel()
	n.calls.Add(int64(len(keys)))
	var all sync.WaitGroup
	for _, key := range keys {
		all.Go(func() {
			if v, err := a.cache.GetOrLoad(ctx, key, a.load); err == nil && v.Key == key {
				n.answered.Add(1)
			}
		})
	}
	all.Wait()
}

func (a *arrivals) load(_ context.Context, e *tiered.Entry[Value]) (Value, error) {
	a.source.call()
	return Value{Key: e.Key}, nil
}

// cacheOptions are those of a cache with a fragile source, and room for that many values in the local tier.
func cacheOptions(room, maxLoads int) tiered.Options[Value] {
	return tiered.Options[Value]{
		Name: "arrivals", MaxCost: int64(room), MaxLoads: maxLoads, Logger: slog.New(slog.DiscardHandler),
		Policy: tiered.Policy{TTL: ages, LoadTimeout: loadTimeout},
	}
}

// connect returns a new process's cache, and a function that ends the process.
func connect(t testing.TB, server *redistest.Server, timeout time.Duration, o tiered.Options[Value]) (c *tiered.Cache[Value], end func()) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	tier, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Logger: o.Logger})
	if err != nil {
		t.Fatal(err)
	}
	o.Redis = tier
	if c, err = tiered.New(o); err != nil {
		t.Fatal(err)
	}
	return c, func() {
		c.Close()
		tier.Close()
		client.Close()
	}
}

// numbered returns that many keys.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fixedKey(i)
	}
	return keys
}

// fill stores a value for each key, from another process.
func fill(t testing.TB, server *redistest.Server, keys []string) {
	t.Helper()
	c, end := connect(t, server, patience, cacheOptions(len(keys), 0))
	defer end()
	values := make(map[string]Value)
	for _, key := range keys {
		values[key] = Value{Key: key}
	}
	if err := c.SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
}
