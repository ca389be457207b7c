package from_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/cache/v9"
	"github.com/klauspost/compress/s2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// newGoRedisCache returns a read through go-redis/cache.
func newGoRedisCache(client *redis.Client) func(ctx context.Context, id string) (user, error) {
	users := cache.New(&cache.Options{
		Redis:      client,
		LocalCache: cache.NewTinyLFU(10_000, time.Minute),
	})
	return func(ctx context.Context, id string) (u user, err error) {
		err = users.Once(&cache.Item{
			Ctx:   ctx,
			Key:   "app:users:" + id,
			Value: &u,
			TTL:   time.Hour,
			Do:    func(*cache.Item) (any, error) { return load(ctx, id) },
		})
		return u, err
	}
}

// goRedisCache is the codec of go-redis/cache: MessagePack, then a byte that says whether it is compressed.
type goRedisCache struct{}

func (goRedisCache) Name() string { return "go-redis-cache" }

func (goRedisCache) Marshal(v any) ([]byte, error) {
	b, err := codec.Msgpack.Marshal(v)
	return append(b, 0), err
}

func (goRedisCache) Unmarshal(data []byte, v any) error {
	if len(data) == 0 {
		return io.ErrUnexpectedEOF
	}
	packed, how := data[:len(data)-1], data[len(data)-1]
	switch how {
	case 0:
	case 1:
		if n, err := s2.DecodedLen(packed); err != nil || n > 16<<20 {
			return errors.Join(err, fmt.Errorf("%d bytes are too many", n))
		}
		var err error
		if packed, err = s2.Decode(nil, packed); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown compression %#x", how)
	}
	return codec.Msgpack.Unmarshal(packed, v)
}

// insteadOfGoRedisCache returns the same read through tiercache.
func insteadOfGoRedisCache(t *testing.T, client *redis.Client) func(ctx context.Context, id string) (user, error) {
	second, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: "app:"})
	if err != nil {
		panic(err)
	}
	users, err := tiered.New(tiered.Options[user]{
		Name:   "users",
		Redis:  second,
		Codec:  goRedisCache{},
		Policy: tiered.Policy{TTL: time.Hour},
	})
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = errors.Join(users.Close(), second.Close()) })

	return func(ctx context.Context, id string) (user, error) {
		return users.GetOrLoad(ctx, id, func(ctx context.Context, e *tiered.Entry[user]) (user, error) {
			return load(ctx, e.Key)
		})
	}
}

// What go-redis/cache has in Redis, compressed or not, is read as it is.
func TestFromGoRedisCache(t *testing.T) {
	client := redistest.Start(t).Client(t)
	theirs := newGoRedisCache(client)
	if n := callers(t, func() (user, error) { return theirs(t.Context(), "42") }); n != 1 {
		t.Errorf("theirs: %d loads", n)
	}
	if b, err := client.Get(t.Context(), "app:users:42").Result(); err != nil || !strings.HasSuffix(b, "\x01") {
		t.Errorf("%q isn't compressed, %v", b, err)
	}
	ours := insteadOfGoRedisCache(t, client)
	if n := callers(t, func() (user, error) { return ours(t.Context(), "42") }); n != 0 {
		t.Errorf("ours: %d loads of a value that is in Redis", n)
	}
	if err := client.Del(t.Context(), "app:users:42").Err(); err != nil {
		t.Fatal(err)
	}
	again := insteadOfGoRedisCache(t, client)
	if n := callers(t, func() (user, error) { return again(t.Context(), "42") }); n != 1 {
		t.Errorf("ours: %d loads", n)
	}
	var short struct{ ID int }
	plain, err := cache.New(&cache.Options{}).Marshal(struct{ ID int }{7})
	if err != nil {
		t.Fatal(err)
	}
	if err := (goRedisCache{}).Unmarshal(plain, &short); err != nil || short.ID != 7 {
		t.Errorf("a short value, which isn't compressed: %+v, %v", short, err)
	}
	for _, bad := range []string{"", "\x00", "\xff", "\xff\xff\xff\xff\x7f\x01", "x\x02"} {
		if err := (goRedisCache{}).Unmarshal([]byte(bad), &short); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
