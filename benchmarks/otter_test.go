package benchmarks_test

import (
	"context"
	"testing"

	"github.com/maypok86/otter/v2"
)

// otterReader is in-process only.
type otterReader struct {
	cache *otter.Cache[string, *user]
	load  otter.Loader[string, *user]
}

func openOtter(t testing.TB, s setting) reader {
	c, err := otter.New(&otter.Options[string, *user]{
		MaximumSize:      s.capacity,
		ExpiryCalculator: otter.ExpiryWriting[string, *user](keep),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.StopAllGoroutines() })
	return &otterReader{cache: c, load: otter.LoaderFunc[string, *user](s.source.load)}
}

func (r *otterReader) read(ctx context.Context, key string) (*user, error) {
	return r.cache.Get(ctx, key, r.load)
}
