package tiercache_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// BenchmarkCoherenceHit reads what the local tier has, of a cache that depends on nothing ("alone"), on a Redis that
// nobody listens to ("none"), and on one whose invalidations have to be proved to arrive, with values that have 0, 1
// or 5 tags.
func BenchmarkCoherenceHit(b *testing.B) {
	server := redistest.Start(b)
	alone, none, tracking := tiered.Options[*user]{}, tiered.Options[*user]{}, tiered.Options[*user]{}
	never := patient(tiered.None)
	never.Heartbeat = time.Hour // or what is known of the tags has to be asked for now and then
	none.Redis = newRedisOf(b, server.Client(b), never)
	tracking.Redis = newRedisOf(b, server.Client(b), patient(tiered.Tracking))
	type impl struct {
		name  string
		cache *tiered.Cache[*user]
		read  reader
	}
	var impls []impl
	for i, of := range []struct {
		name    string
		options tiered.Options[*user]
		tags    int
	}{
		{"alone", alone, 0},
		{"none", none, 0},
		{"tracking", tracking, 0},
		{"alone-5tags", alone, 5},
		{"none-5tags", none, 5},
		{"tracking-1tag", tracking, 1},
		{"tracking-5tags", tracking, 5},
	} {
		of.options.Name = "hit" + strconv.Itoa(i)
		c, read := taggedCache(b, of.options, of.tags)
		impls = append(impls, impl{of.name, c, read})
	}
	for _, keys := range []struct {
		name string
		order
	}{{"hot64", hotUsers(64)}, {"uniform10k", everyUser()}} {
		for _, mode := range modes {
			for _, impl := range impls {
				b.Run(fmt.Sprintf("keys=%s/mode=%s/impl=%s", keys.name, mode.name, impl.name), func(b *testing.B) {
					remote := impl.cache.Stats().RemoteHits
					onlyLocalHits(b, impl.cache, func() { mode.run(keys.order, b, impl.read) })
					if n := impl.cache.Stats().RemoteHits - remote; n > 0 {
						b.Errorf("%d of the hits were in Redis", n)
					}
				})
			}
		}
	}
}

// taggedCache is warmCache with tags for each user, some hundred different ones.
func taggedCache(b *testing.B, o tiered.Options[*user], tags int) (*tiered.Cache[*user], reader) {
	b.Helper()
	c := newCache(b, o)
	ctx := b.Context()
	load := tiered.Loader[*user](func(ctx context.Context, e *tiered.Entry[*user]) (*user, error) {
		u, err := loadUser(ctx, e)
		for i := range tags {
			e.Tags = append(e.Tags, fmt.Sprintf("tag%d:%d", i, u.ID%100))
		}
		return u, err
	})
	read := func(id int) (*user, error) { return c.GetOrLoad(ctx, userKeys[id], load) }
	for deadline := time.Now().Add(time.Minute); ; { // until Redis has told of all that this process wrote
		before := c.Stats()
		check(b, read)
		if after := c.Stats(); after.LocalHits-before.LocalHits == population {
			return c, read
		}
		if time.Now().After(deadline) {
			b.Fatalf("the local tier doesn't keep all users: %+v", c.Stats())
		}
	}
}

// A counter counts what a client sends.
type counter struct{ commands, trips atomic.Int64 }

func (*counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		c.trips.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}

// spending reports what f's operations cost Redis: commands sent, round trips, and µs of its processor.
func spending(b *testing.B, client *redis.Client, c *counter, f func()) {
	b.Helper()
	commands, trips, used := c.commands.Load(), c.trips.Load(), redistest.ProcessorTime(b, client)
	f()
	n := float64(b.N)
	b.ReportMetric(float64(redistest.ProcessorTime(b, client)-used)/float64(time.Microsecond)/n, "redis-µs/op")
	b.ReportMetric(float64(c.commands.Load()-commands)/n, "cmds/op")
	b.ReportMetric(float64(c.trips.Load()-trips)/n, "trips/op")
}

// counted returns a client of the server, and a counter of its commands.
func counted(b *testing.B, client *redis.Client) *counter {
	b.Helper()
	c := new(counter)
	client.AddHook(c)
	return c
}

// BenchmarkCoherenceMiss reads keys that neither tier has, from a source that answers at once: by hand that is a GET
// and a SET; a lease is a command more, and the store in its place a script.
func BenchmarkCoherenceMiss(b *testing.B) {
	server := redistest.Start(b)
	plain, ctx := server.Client(b), b.Context()
	one := newUser(1)
	floor := server.Client(b)
	floorCounter := counted(b, floor)
	b.Run("impl=go-redis", func(b *testing.B) {
		next := 0
		miss := func(int) (*user, error) {
			next++
			key := "go:" + strconv.Itoa(b.N) + ":" + strconv.Itoa(next)
			if err := floor.Get(ctx, key).Err(); err != redis.Nil {
				return nil, fmt.Errorf("got %v: want a miss", err)
			}
			data, err := codec.JSON.Marshal(one)
			if err != nil {
				return nil, err
			}
			return one, floor.Set(ctx, key, data, time.Minute).Err()
		}
		spending(b, plain, floorCounter, func() { hotUsers(1).serial(b, miss) })
	})
	for _, of := range []struct {
		name   string
		mode   tiered.Invalidation
		tags   []string
		behind bool
	}{
		{"none", tiered.None, nil, false},
		{"none-behind", tiered.None, nil, true},
		{"tracking", tiered.Tracking, nil, false},
		{"tracking-behind", tiered.Tracking, nil, true},
		{"tracking-1tag", tiered.Tracking, []string{"team"}, false},
		{"keys", tiered.TrackingKeys, nil, false},
		{"pubsub", tiered.PubSub, nil, false},
	} {
		client := server.Client(b)
		counter := counted(b, client)
		c := newCache(b, tiered.Options[*user]{
			Name:   "miss-" + of.name,
			Redis:  newRedisOf(b, client, patient(of.mode)),
			Policy: tiered.Policy{StoreBehind: of.behind},
		})
		load := func(_ context.Context, e *tiered.Entry[*user]) (*user, error) {
			e.Tags = of.tags
			return one, nil
		}
		next := 0
		miss := func(int) (*user, error) {
			next++
			return c.GetOrLoad(ctx, userKey(next), load)
		}
		b.Run("impl="+of.name, func(b *testing.B) {
			loads := c.Stats().Loads
			spending(b, plain, counter, func() { hotUsers(1).serial(b, miss) })
			if n := c.Stats().Loads - loads; n != uint64(b.N) {
				b.Errorf("%d reads were %d loads", b.N, n)
			}
		})
	}
}

// BenchmarkCoherenceSetThenGet writes a user and reads it, at once or when it is in the local tier. By hand the local copy stays; with
// tracking Redis reports the write, and the copy is back when Redis has confirmed it. remote/op is how many reads went to Redis. ns/op
// is without the waiting, which adds commands of its own to cmds/op.
func BenchmarkCoherenceSetThenGet(b *testing.B) {
	server := redistest.Start(b)
	plain := server.Client(b)
	for _, wait := range []bool{false, true} {
		for _, of := range []struct {
			name string
			mode tiered.Invalidation
		}{{"none", tiered.None}, {"tracking", tiered.Tracking}, {"keys", tiered.TrackingKeys}, {"pubsub", tiered.PubSub}} {
			client := server.Client(b)
			counter := counted(b, client)
			c := newCache(b, tiered.Options[*user]{Redis: newRedisOf(b, client, patient(of.mode))})
			b.Run(fmt.Sprintf("read=%s/impl=%s", map[bool]string{false: "at-once", true: "when-local"}[wait], of.name), func(b *testing.B) {
				before := c.Stats()
				spending(b, plain, counter, func() { setThenGet(b, c, wait) })
				after := c.Stats()
				b.ReportMetric(float64(after.RemoteHits-before.RemoteHits)/float64(b.N), "remote/op")
			})
		}
	}
}

func setThenGet(b *testing.B, c *tiered.Cache[*user], wait bool) {
	ctx, u := b.Context(), newUser(1)
	load := tiered.Loader[*user](loadUser)
	var took time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := c.Set(ctx, userKeys[1], u); err != nil {
			b.Fatal(err)
		}
		took += time.Since(begin)
		if wait {
			awaitLocal(b, c, userKeys[1])
		}
		begin = time.Now()
		if _, err := c.GetOrLoad(ctx, userKeys[1], load); err != nil {
			b.Fatal(err)
		}
		took += time.Since(begin)
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/op")
}

// awaitLocal waits until the local tier serves the key.
func awaitLocal(b *testing.B, c *tiered.Cache[*user], key string) {
	b.Helper()
	observe.Until(b, "the local tier has the value", func() bool {
		k, err := c.Inspect(b.Context(), key)
		if err != nil {
			b.Fatal(err)
		}
		return k.Local != nil && k.Local.Problem == ""
	})
}

// BenchmarkCoherenceIdle counts what Redis has to do for processes that do nothing: the canaries and PINGs of a
// Heartbeat of one second. An op is five seconds of idleness.
func BenchmarkCoherenceIdle(b *testing.B) {
	for _, of := range []struct {
		name string
		mode tiered.Invalidation
	}{{"none", tiered.None}, {"tracking", tiered.Tracking}, {"pubsub", tiered.PubSub}} {
		for _, processes := range []int{1, 4} {
			b.Run(fmt.Sprintf("processes=%d/impl=%s", processes, of.name), func(b *testing.B) {
				server := redistest.Start(b)
				client := server.Client(b)
				for range processes {
					newCache(b, tiered.Options[int]{Redis: newRedisOf(b, server.Client(b), tiered.RedisOptions{Invalidation: of.mode})})
				}
				idle(b, client, processes)
			})
		}
	}
}

func idle(b *testing.B, client *redis.Client, processes int) {
	const interval = 5 * time.Second
	before, used := redistest.Calls(b, client), redistest.ProcessorTime(b, client)
	bytes := sent(b, client)
	n := 0.0
	for b.Loop() {
		<-time.After(interval)
		n += interval.Seconds() * float64(processes)
	}
	all := 0.0
	for name, total := range redistest.Calls(b, client) {
		if delta := float64(total - before[name]); delta > 0 && name != "info" {
			b.ReportMetric(delta/n, name+"/s")
			all += delta
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(all/n, "cmds/s")
	b.ReportMetric(float64(sent(b, client)-bytes)/n, "B-out/s")
	b.ReportMetric(float64(redistest.ProcessorTime(b, client)-used)/float64(time.Microsecond)/n, "redis-µs/s")
}

// sent returns the bytes that Redis has sent, without its replies to the INFOs.
func sent(b *testing.B, client *redis.Client) int {
	b.Helper()
	n, err := strconv.Atoi(redistest.Info(b, client, "stats")["total_net_output_bytes"])
	if err != nil {
		b.Fatal(err)
	}
	return n
}
