package benchmarks_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const heard = "user:heard" // the key of which all caches hear

// drop measures from the call of Set in one process to the moment at which none of another's caches, which all have the key
// in their local tiers, has it there any more: they have one name, so that each is concerned. A process stands for
// itself as a *tiered.Redis with a client of its own. The floor is a message's way from PUBLISH until it is received.
// ns/op is the median.
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
				keepHeard(b, writer, r, s)
			}
			ears.Expect(heard)
			begin := time.Now()
			if err := writer.Set(b.Context(), heard, make([]byte, s.bytes)); err != nil {
				b.Fatal(err)
			}
			drops = append(drops, ears.Await(b).Handled.Sub(begin))
			for i, r := range readers {
				if e, _ := r.Lookup(b.Context(), heard); e.Tier == tiered.Local {
					b.Fatalf("cache %d still has the key in its local tier", i)
				}
			}
		}
		reportMedian(b, drops)
	})
}

// keepHeard has the reader take the key into its local tier. A fill that an invalidation overtakes isn't kept.
func keepHeard(b *testing.B, writer, reader *tiered.Cache[[]byte], s scale) {
	b.Helper()
	for range 1000 {
		e, err := reader.Lookup(b.Context(), heard)
		if err == nil && e.Tier == tiered.Local {
			return
		}
		if err == nil {
			continue
		}
		if err := writer.Set(b.Context(), heard, make([]byte, s.bytes)); err != nil {
			b.Fatal(err)
		}
	}
	b.Fatal("the local tier doesn't keep the key")
}

// publish measures a message's way.
func publish(b *testing.B, server *redistest.Server) {
	ctx := b.Context()
	publisher, subscriber := server.Client(b), server.Client(b).Subscribe(ctx, heard)
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
	var ways []time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := publisher.Publish(ctx, heard, heard).Err(); err != nil {
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

// reportMedian takes the place of ns/op, in which the preparations are.
func reportMedian(b *testing.B, of []time.Duration) {
	slices.Sort(of)
	b.ReportMetric(float64(of[len(of)/2]), "ns/op")
}
