package benchmarks_test

import (
	"context"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

type tiercacheReader struct {
	cache *tiered.Cache[*user]
	load  tiered.Loader[*user]
	many  func(ctx context.Context, keys []string) (map[string]*user, error)
}

func openTiercache(t testing.TB, s setting) reader {
	o := tiered.Options[*user]{
		Name:    "users",
		Codec:   codec.Msgpack,
		MaxCost: int64(s.capacity),
		Policy:  tiered.Policy{TTL: keep},
	}
	if s.capacity == 0 {
		o.Policy.LocalTTL = time.Millisecond // shorter than the time until a key is read again
	}
	if s.client != nil {
		// A long timeout, so that a busy machine isn't mistaken for a slow Redis.
		r, err := tiered.NewRedis(s.client, tiered.RedisOptions{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		closeWith(t, r.Close)
		o.Redis = r
	}
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, c.Close)
	load := func(ctx context.Context, e *tiered.Entry[*user]) (*user, error) { return s.source.load(ctx, e.Key) }
	many := func(ctx context.Context, keys []string) (map[string]*user, error) {
		us := make(map[string]*user, len(keys))
		for _, key := range keys {
			u, err := s.source.load(ctx, key)
			if err != nil {
				return nil, err
			}
			us[key] = u
		}
		return us, nil
	}
	return &tiercacheReader{cache: c, load: load, many: many}
}

func (r *tiercacheReader) read(ctx context.Context, key string) (*user, error) {
	return r.cache.GetOrLoad(ctx, key, r.load)
}

func (r *tiercacheReader) readMany(ctx context.Context, keys []string) (map[string]*user, error) {
	return tiered.GetOrLoadMany(ctx, r.cache, keys, func(key string) string { return key }, r.many)
}
