package benchmarks_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const shared = "user:shared" // the key that all caches have

// drop measures the time from the call of Set in one process until all caches of another process have dropped the key from
// their local tiers. They have one name, so that all of them have the key. A *tiered.Redis with a client of its own stands for
// a process. The floor is the time from PUBLISH until the message is received. ns/op is the median.
func drop(b *testing.B, s scale) {
	server := redistest.Start(b)
	ears := new(redistest.Tap)
	writer := openOn(b, openSecond(b, server.Client(b)), "growth", keep)
	second := openSecond(b, ears.Client(b, server))
	readers := make([]*tiered.Cache[[]byte], s.caches)
	for i := range readers {
		readers[i] = openOn(b, second, "growth", keep)
	}
	b.Run("impl=go-redis", func(b *testing.B) { publish(b, server) })
	b.Run("impl=tiercache", func(b *testing.B) {
		var drops []time.Duration
		for b.Loop() {
			for _, r := range readers {
				keepShared(b, writer, r, s)
			}
			ears.Expect(shared)
			begin := time.Now()
			if err := writer.Set(b.Context(), shared, make([]byte, s.bytes)); err != nil {
				b.Fatal(err)
			}
			drops = append(drops, ears.Await(b).Handled.Sub(begin))
			for i, r := range readers {
				if e, _ := r.Lookup(b.Context(), shared); e.Tier == tiered.Local {
					b.Fatalf("cache %d still has the key in its local tier", i)
				}
			}
		}
		reportMedian(b, drops)
	})
}

// keepShared reads the key until the reader has it in its local tier. A value that an invalidation overtakes isn't stored.
func keepShared(b *testing.B, writer, reader *tiered.Cache[[]byte], s scale) {
	b.Helper()
	for range 1000 {
		e, err := reader.Lookup(b.Context(), shared)
		if err == nil && e.Tier == tiered.Local {
			return
		}
		if err == nil {
			continue
		}
		if err := writer.Set(b.Context(), shared, make([]byte, s.bytes)); err != nil {
			b.Fatal(err)
		}
	}
	b.Fatal("the local tier doesn't keep the key")
}

// publish measures how long a message takes.
func publish(b *testing.B, server *redistest.Server) {
	ctx := b.Context()
	publisher, subscriber := server.Client(b), server.Client(b).Subscribe(ctx, shared)
	defer subscriber.Close()
	if _, err := subscriber.Receive(ctx); err != nil { // the confirmation of the subscription
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
	var ways []time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := publisher.Publish(ctx, shared, shared).Err(); err != nil {
			b.Fatal(err)
		}
		at, ok := <-received
		if !ok {
			b.Fatal("the subscription ended")
		}
		ways = append(ways, at.Sub(begin))
	}
	reportMedian(b, ways)
}

// reportMedian replaces ns/op, which would include the preparations.
func reportMedian(b *testing.B, of []time.Duration) {
	slices.Sort(of)
	b.ReportMetric(float64(of[len(of)/2]), "ns/op")
}
