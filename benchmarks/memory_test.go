package benchmarks_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

const memoryEntries = 1_000_000

// number is a value that needs no memory of its own.
type number = int64

// BenchmarkMemory fills caches of a capacity of a million entries with as many numbers under keys of 16 bytes. B/entry is
// the growth of the heap divided by the number of stored entries. It includes the key's bytes if the cache stores the key;
// ristretto stores only its hash.
func BenchmarkMemory(b *testing.B) {
	for _, p := range []struct {
		name string
		open func(testing.TB) (set func(string, number), get func(string) bool)
	}{
		{"ristretto", ristrettoNumbers(0)},
		{"ristretto-ttl", ristrettoNumbers(keep)},
		{"otter", otterNumbers(nil)},
		{"otter-ttl", otterNumbers(otter.ExpiryWriting[string, number](keep))},
		{"tiercache", tiercacheNumbers},
	} {
		b.Run(fmt.Sprintf("entries=%d/impl=%s", memoryEntries, p.name), func(b *testing.B) {
			bytes, held := 0.0, 0
			for b.Loop() {
				before, _ := heap()
				set, get := p.open(b)
				for i := range memoryEntries {
					set(numberKey(i), number(i))
				}
				held = 0
				for i := range memoryEntries {
					if get(numberKey(i)) {
						held++
					}
				}
				after, _ := heap()
				bytes = (after - before) / float64(held)
				runtime.KeepAlive(get)
			}
			b.ReportMetric(bytes, "B/entry")
			b.ReportMetric(float64(held), "entries")
		})
	}
}

func numberKey(i int) string { return fmt.Sprintf("number:%09d", i) }

// ristrettoNumbers waits now and then, since ristretto drops most entries that are set so fast.
func ristrettoNumbers(ttl time.Duration) func(testing.TB) (func(string, number), func(string) bool) {
	return func(t testing.TB) (func(string, number), func(string) bool) {
		c, err := ristretto.NewCache(&ristretto.Config[string, number]{
			NumCounters:        10 * memoryEntries,
			MaxCost:            memoryEntries,
			BufferItems:        64,
			IgnoreInternalCost: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		n := 0
		set := func(key string, value number) {
			c.SetWithTTL(key, value, 1, ttl)
			if n++; n%1000 == 0 {
				c.Wait()
			}
		}
		return set, func(key string) bool { _, ok := c.Get(key); return ok }
	}
}

func otterNumbers(expiry otter.ExpiryCalculator[string, number]) func(testing.TB) (func(string, number), func(string) bool) {
	return func(t testing.TB) (func(string, number), func(string) bool) {
		c, err := otter.New(&otter.Options[string, number]{MaximumSize: memoryEntries, ExpiryCalculator: expiry})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.StopAllGoroutines() })
		set := func(key string, value number) { c.Set(key, value) }
		return set, func(key string) bool { _, ok := c.GetIfPresent(key); return ok }
	}
}

func tiercacheNumbers(t testing.TB) (func(string, number), func(string) bool) {
	c, err := tiered.New(tiered.Options[number]{
		Name:    "numbers",
		Codec:   codec.Msgpack,
		MaxCost: memoryEntries,
		Policy:  tiered.Policy{TTL: keep},
	})
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, c.Close)
	ctx := context.Background()
	set := func(key string, value number) {
		load := func(context.Context, *tiered.Entry[number]) (number, error) { return value, nil }
		if _, err := c.GetOrLoad(ctx, key, load); err != nil {
			t.Fatal(err)
		}
	}
	return set, func(key string) bool { _, err := c.Get(ctx, key); return err == nil }
}
