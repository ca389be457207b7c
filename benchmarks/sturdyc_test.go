package benchmarks_test

import (
	"context"
	"testing"

	"github.com/viccon/sturdyc"
)

// sturdycReader is in-process only: sturdyc supports a second tier, but comes with none.
type sturdycReader struct {
	client *sturdyc.Client[*user]
	source *source
}

func openSturdyc(_ testing.TB, s setting) reader {
	const shards, evictedPercent = 64, 10
	return &sturdycReader{client: sturdyc.New[*user](s.capacity, shards, keep, evictedPercent), source: s.source}
}

func (r *sturdycReader) read(ctx context.Context, key string) (*user, error) {
	return r.client.GetOrFetch(ctx, key, func(ctx context.Context) (*user, error) { return r.source.load(ctx, key) })
}
