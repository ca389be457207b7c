package tiercache_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Three files measure the cost of coherent local tiers: this one the latency of invalidations; bench_flood_test.go their rate, and
// their cost in Redis; bench_tracking_test.go the cost of reads and writes.
//
// A tiered.Redis with a client of its own stands for a process. All of them are in one OS process, which improves
// none of the ratios, but they share its scheduler and the machine's cores.

// newRedisOf is newRedis with options.
func newRedisOf(b *testing.B, client redis.UniversalClient, o tiered.RedisOptions) *tiered.Redis {
	b.Helper()
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

// patient has a long timeout, so that a busy machine isn't mistaken for a slow Redis.
func patient(i tiered.Invalidation) tiered.RedisOptions {
	return tiered.RedisOptions{Invalidation: i, Timeout: 10 * time.Second}
}

// reportQuantiles replaces ns/op, which would include the preparations.
func reportQuantiles(b *testing.B, name string, of []time.Duration) {
	slices.Sort(of)
	micros := func(q float64) float64 {
		return float64(of[int(q*float64(len(of)-1))]) / float64(time.Microsecond)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(micros(0.5), name+"p50-µs")
	b.ReportMetric(micros(0.99), name+"p99-µs")
}

// BenchmarkCoherenceDrop measures the time from the call of a write in one process until another process's
// local tier has dropped the old value ("drop"). The floors are the time until a published message is
// received, and the time of the write itself, which is measured in the same rounds as the drop. "arrive" is the
// time until the bytes of the report arrive: the rest of the drop is the library's. "late" counts the drops after
// the write returned.
func BenchmarkCoherenceDrop(b *testing.B) {
	server := redistest.Start(b)
	type process struct {
		name           string
		ears           redistest.Tap
		writer, reader *tiered.Cache[*user]
	}
	processes := []*process{{name: "tracking"}, {name: "pubsub"}}
	for i, mode := range []tiered.Invalidation{tiered.Tracking, tiered.PubSub} {
		p := processes[i]
		p.writer = newCache(b, tiered.Options[*user]{Redis: newRedisOf(b, server.Client(b), patient(mode))})
		p.reader = newCache(b, tiered.Options[*user]{Redis: newRedisOf(b, p.ears.Client(b, server), patient(mode))})
	}
	for _, of := range []struct {
		name, mark string
		write      func(ctx context.Context, c *tiered.Cache[*user]) error
	}{
		{"Set", dropped, func(ctx context.Context, c *tiered.Cache[*user]) error { return c.Set(ctx, dropped, newUser(2)) }},
		{"Delete", dropped, func(ctx context.Context, c *tiered.Cache[*user]) error { return c.Delete(ctx, dropped) }},
		{"InvalidateTags", "!tag:team", func(ctx context.Context, c *tiered.Cache[*user]) error { return c.InvalidateTags(ctx, "team") }},
	} {
		b.Run("write="+of.name+"/impl=publish", func(b *testing.B) { publishRounds(b, server) })
		for _, p := range processes {
			b.Run("write="+of.name+"/impl="+p.name, func(b *testing.B) {
				write := func(ctx context.Context) error { return of.write(ctx, p.writer) }
				dropRounds(b, &p.ears, p.writer, p.reader, round{of.mark, write})
			})
		}
	}
}

const dropped = "user:dropped"

// round is a write and its report.
type round struct {
	mark  string
	write func(ctx context.Context) error
}

func dropRounds(b *testing.B, ears *redistest.Tap, writer, reader *tiered.Cache[*user], of round) {
	ctx := b.Context()
	var writes, arrivals, drops []time.Duration
	late := 0
	for b.Loop() {
		ears.Expect(dropped)
		if err := writer.Set(ctx, dropped, newUser(1), "team"); err != nil {
			b.Fatal(err)
		}
		ears.Await(b)
		keepLocal(b, reader)

		ears.Expect(of.mark)
		begin := time.Now()
		err := of.write(ctx)
		written := time.Now()
		if err != nil {
			b.Fatal(err)
		}
		seen := ears.Await(b)
		if seen.Handled.After(written) {
			late++
		}
		writes = append(writes, written.Sub(begin))
		arrivals = append(arrivals, seen.Arrived.Sub(begin))
		drops = append(drops, seen.Handled.Sub(begin))
		if e, _ := reader.Lookup(ctx, dropped); e.Tier == tiered.Local {
			b.Fatalf("the local tier still has %+v", e)
		}
	}
	b.ReportMetric(100*float64(late)/float64(len(drops)), "late-%")
	reportQuantiles(b, "write-", writes)
	reportQuantiles(b, "arrive-", arrivals)
	reportQuantiles(b, "drop-", drops)
}

// keepLocal reads the key until it is in the local tier.
func keepLocal(b *testing.B, c *tiered.Cache[*user]) {
	b.Helper()
	for range 1000 {
		if e, err := c.Lookup(b.Context(), dropped); err == nil && e.Tier == tiered.Local {
			return
		}
	}
	b.Fatal("the local tier doesn't keep the key")
}

func publishRounds(b *testing.B, server *redistest.Server) {
	ctx := b.Context()
	publisher, subscriber := server.Client(b), server.Client(b).Subscribe(ctx, "bench")
	defer subscriber.Close()
	if _, err := subscriber.Receive(ctx); err != nil { // that it is subscribed
		b.Fatal(err)
	}
	received := make(chan time.Time, 1)
	go func() {
		defer close(received)
		for {
			if _, err := subscriber.ReceiveMessage(ctx); err != nil {
				return
			}
			received <- time.Now()
		}
	}()
	var writes, drops []time.Duration
	for b.Loop() {
		begin := time.Now()
		err := publisher.Publish(ctx, "bench", dropped).Err()
		writes = append(writes, time.Since(begin))
		if err != nil {
			b.Fatal(err)
		}
		at, ok := <-received
		if !ok {
			b.Fatal("the subscription ended")
		}
		drops = append(drops, at.Sub(begin))
	}
	reportQuantiles(b, "write-", writes)
	reportQuantiles(b, "drop-", drops)
}
