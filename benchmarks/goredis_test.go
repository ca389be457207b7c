package benchmarks_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
)

// goRedisReader is just GET and decoding, and SET after a load: the floor of a Redis hit.
type goRedisReader struct {
	client *redis.Client
	source *source
}

func openGoRedis(_ testing.TB, s setting) reader {
	return &goRedisReader{client: s.client, source: s.source}
}

func (r *goRedisReader) read(ctx context.Context, key string) (*user, error) {
	data, err := r.client.Get(ctx, "go-redis:"+key).Bytes()
	if err == nil {
		u := new(user)
		return u, codec.Msgpack.Unmarshal(data, u)
	}
	if !errors.Is(err, redis.Nil) {
		return nil, err
	}
	u, err := r.source.load(ctx, key)
	if err != nil {
		return nil, err
	}
	if data, err = codec.Msgpack.Marshal(u); err != nil {
		return nil, err
	}
	return u, r.client.Set(ctx, "go-redis:"+key, data, keep).Err()
}

func (r *goRedisReader) readMany(ctx context.Context, keys []string) (map[string]*user, error) {
	named := make([]string, len(keys))
	for i, key := range keys {
		named[i] = "go-redis:" + key
	}
	replies, err := r.client.MGet(ctx, named...).Result()
	if err != nil {
		return nil, err
	}
	us := make(map[string]*user, len(keys))
	for i, reply := range replies {
		data, ok := reply.(string)
		if !ok {
			return nil, redis.Nil
		}
		u := new(user)
		if err := codec.Msgpack.Unmarshal([]byte(data), u); err != nil {
			return nil, err
		}
		us[keys[i]] = u
	}
	return us, nil
}
