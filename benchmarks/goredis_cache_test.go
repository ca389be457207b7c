package benchmarks_test

import (
	"context"
	"testing"

	"github.com/go-redis/cache/v9"

	"github.com/tiercache/tiercache/codec"
)

// goRedisCacheReader is go-redis/cache with the benchmarks' encoding instead of its own, which compresses. Its local tier
// stores bytes.
type goRedisCacheReader struct {
	cache  *cache.Cache
	source *source
}

func openGoRedisCache(_ testing.TB, s setting) reader {
	o := &cache.Options{Marshal: codec.Msgpack.Marshal, Unmarshal: codec.Msgpack.Unmarshal}
	if s.client != nil {
		o.Redis = s.client
	}
	if s.capacity > 0 {
		o.LocalCache = cache.NewTinyLFU(s.capacity, keep)
	}
	return &goRedisCacheReader{cache: cache.New(o), source: s.source}
}

func (r *goRedisCacheReader) read(ctx context.Context, key string) (*user, error) {
	u := new(user)
	err := r.cache.Once(&cache.Item{
		Ctx:   ctx,
		Key:   "go-redis-cache:" + key,
		Value: u,
		TTL:   keep,
		Do:    func(item *cache.Item) (any, error) { return r.source.load(item.Context(), key) },
	})
	return u, err
}

// readMany reads one by one, since there is no batch method.
func (r *goRedisCacheReader) readMany(ctx context.Context, keys []string) (map[string]*user, error) {
	us := make(map[string]*user, len(keys))
	for _, key := range keys {
		u, err := r.read(ctx, key)
		if err != nil {
			return nil, err
		}
		us[key] = u
	}
	return us, nil
}
