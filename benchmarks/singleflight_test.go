package benchmarks_test

import (
	"context"
	"testing"

	"golang.org/x/sync/singleflight"
)

// singleflightReader stores nothing: the floor of a stampede.
type singleflightReader struct {
	flights singleflight.Group
	source  *source
}

func openSingleflight(_ testing.TB, s setting) reader { return &singleflightReader{source: s.source} }

func (r *singleflightReader) read(ctx context.Context, key string) (*user, error) {
	v, err, _ := r.flights.Do(key, func() (any, error) { return r.source.load(ctx, key) })
	if err != nil {
		return nil, err
	}
	return v.(*user), nil
}
