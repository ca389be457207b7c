package benchmarks_test

import (
	"context"
	"testing"

	"github.com/dgraph-io/ristretto/v2"
)

// ristrettoReader is ristretto alone: the floor of a local hit.
type ristrettoReader struct {
	cache  *ristretto.Cache[string, *user]
	source *source
	waits  bool // for ristretto to store a new value
}

func openRistrettoWaiting(t testing.TB, s setting) reader {
	r := newRistrettoReader(t, s)
	r.waits = true
	return r
}

func openRistretto(t testing.TB, s setting) reader { return newRistrettoReader(t, s) }

func newRistrettoReader(t testing.TB, s setting) *ristrettoReader {
	c, err := ristretto.NewCache(&ristretto.Config[string, *user]{
		NumCounters:        int64(10 * s.capacity),
		MaxCost:            int64(s.capacity),
		BufferItems:        64,
		IgnoreInternalCost: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &ristrettoReader{cache: c, source: s.source}
}

func (r *ristrettoReader) read(ctx context.Context, key string) (*user, error) {
	if u, ok := r.cache.Get(key); ok {
		return u, nil
	}
	u, err := r.source.load(ctx, key)
	if err == nil {
		r.cache.SetWithTTL(key, u, 1, keep)
		if r.waits {
			r.cache.Wait()
		}
	}
	return u, err
}
