package benchmarks_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// store keeps values in the process's memory.
type store interface {
	set(ctx context.Context, key string, value []byte) error
	get(ctx context.Context, key string) ([]byte, error)
	count() int // of the entries that are stored
	close() error
}

var stores = []struct {
	name string
	open func(capacity int) (store, error)
}{
	{"ristretto", openRistrettoStore},
	{"tiercache", openTieredStore},
}

// localHit reads from the process's memory. There is one store at a time, so that its memory can be measured: B/entry is
// the live heap per entry, with keys, values and reserved space, and process-MB the memory that the runtime has got
// from the system when the store is full.
func localHit(b *testing.B, s scale) {
	keys := sample(s.keys)
	for _, of := range stores {
		empty, _ := heap()
		kept, err := of.open(s.keys)
		if err != nil {
			b.Fatal(err)
		}
		fill(b, kept, s)
		full, process := heap()
		b.Run("impl="+of.name, func(b *testing.B) {
			spread(b, s.goroutines, func(ctx context.Context, i int) error {
				value, err := kept.get(ctx, keys[i%len(keys)])
				if err != nil {
					return err
				}
				return wantBytes(value, s.bytes)
			})
			b.ReportMetric((full-empty)/float64(s.keys), "B/entry")
			b.ReportMetric(process/1e6, "process-MB")
		})
		if err := kept.close(); err != nil {
			b.Error(err)
		}
	}
}

// fill sets every key to a value of its own, and waits until all are stored.
func fill(b *testing.B, kept store, s scale) {
	b.Helper()
	for i := range s.keys {
		if err := kept.set(b.Context(), numberedKey(i), make([]byte, s.bytes)); err != nil {
			b.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); kept.count() < s.keys; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d entries are stored", kept.count(), s.keys)
		}
	}
}

// heap returns the live bytes of the heap and those that the runtime has from the system.
func heap() (live, process float64) {
	runtime.GC()
	runtime.GC() // a second one, for objects with finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.Sys - m.HeapReleased)
}

var errMissing = errors.New("the value isn't there")

// ristrettoStore is ristretto alone, the floor. It stores a key's hash, not the key.
type ristrettoStore struct {
	cache *ristretto.Cache[string, []byte]
	sets  int
}

func openRistrettoStore(capacity int) (store, error) {
	c, err := ristretto.NewCache(&ristretto.Config[string, []byte]{
		NumCounters:        int64(10 * capacity),
		MaxCost:            int64(capacity),
		BufferItems:        64,
		IgnoreInternalCost: true,
	})
	return &ristrettoStore{cache: c}, err
}

// set waits now and then, since ristretto drops entries when its queue is full.
func (r *ristrettoStore) set(_ context.Context, key string, value []byte) error {
	for !r.cache.SetWithTTL(key, value, 1, keep) {
		r.cache.Wait()
	}
	r.sets++
	if r.sets%1024 == 0 {
		r.cache.Wait()
	}
	return nil
}

func (r *ristrettoStore) get(_ context.Context, key string) ([]byte, error) {
	value, ok := r.cache.Get(key)
	if !ok {
		return nil, errMissing
	}
	return value, nil
}

func (r *ristrettoStore) count() int {
	r.cache.Wait()
	return int(r.cache.MaxCost() - r.cache.RemainingCost())
}

func (r *ristrettoStore) close() error {
	r.cache.Close()
	return nil
}

// tieredStore is a cache without a Redis.
type tieredStore struct{ cache *tiered.Cache[[]byte] }

func openTieredStore(capacity int) (store, error) {
	c, err := tiered.New(tiered.Options[[]byte]{
		Name:    "growth",
		Codec:   codec.Raw,
		MaxCost: int64(capacity),
		Policy:  tiered.Policy{TTL: keep},
	})
	return tieredStore{c}, err
}

func (t tieredStore) set(ctx context.Context, key string, value []byte) error {
	return t.cache.Set(ctx, key, value)
}

func (t tieredStore) get(ctx context.Context, key string) ([]byte, error) {
	return t.cache.GetOrLoad(ctx, key, notLoaded)
}

func (t tieredStore) count() int { return int(t.cache.Stats().Cost) }

func (t tieredStore) close() error { return t.cache.Close() }

// notLoaded is the loader for keys that must be in the cache.
func notLoaded(context.Context, *tiered.Entry[[]byte]) ([]byte, error) { return nil, errMissing }
