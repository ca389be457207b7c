package from_test

import (
	"context"
	"errors"
	"testing"
	"time"

	ristretto1 "github.com/dgraph-io/ristretto"
	gocache "github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/marshaler"
	"github.com/eko/gocache/lib/v4/store"
	redis_store "github.com/eko/gocache/store/redis/v4"
	ristretto_store "github.com/eko/gocache/store/ristretto/v4"
	"github.com/redis/go-redis/v9"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// newGocache returns a read through gocache: a chain of ristretto and Redis that loads what neither has.
func newGocache(t *testing.T, client *redis.Client) func(ctx context.Context, id string) (user, error) {
	memory, err := ristretto1.NewCache(&ristretto1.Config{NumCounters: 100_000, MaxCost: 10_000, BufferItems: 64})
	if err != nil {
		panic(err)
	}
	chain := gocache.NewChain[any](
		gocache.New[any](ristretto_store.NewRistretto(memory, store.WithCost(1))),
		gocache.New[any](redis_store.NewRedis(client)),
	)
	loadable := gocache.NewLoadable[any](func(ctx context.Context, key any) (any, []store.Option, error) {
		u, err := load(ctx, key.(string)[len("app:users:"):])
		if err != nil {
			return nil, nil, err
		}
		packed, err := msgpack.Marshal(u)
		return packed, []store.Option{store.WithExpiration(time.Hour)}, err
	}, chain)
	users := marshaler.New(loadable)
	t.Cleanup(func() {
		_ = loadable.Close()
		memory.Close()
	})

	return func(ctx context.Context, id string) (u user, err error) {
		_, err = users.Get(ctx, "app:users:"+id, &u)
		return u, err
	}
}

// insteadOfGocache returns the same read through tiercache.
func insteadOfGocache(t *testing.T, client *redis.Client) func(ctx context.Context, id string) (user, error) {
	second, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: "app:"})
	if err != nil {
		panic(err)
	}
	users, err := tiered.New(tiered.Options[user]{
		Name:    "users",
		Redis:   second,
		Codec:   codec.Msgpack,
		MaxCost: 10_000,
		Policy:  tiered.Policy{TTL: time.Hour},
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

// What gocache's marshaler has in Redis is read as it is.
func TestFromGocache(t *testing.T) {
	client := redistest.Start(t).Client(t)
	theirs := newGocache(t, client)
	if n := callers(t, func() (user, error) { return theirs(t.Context(), "42") }); n < 1 {
		t.Errorf("theirs: %d loads", n)
	}
	observe.Until(t, "it stores in the background", func() bool { return client.Exists(t.Context(), "app:users:42").Val() == 1 })
	ours := insteadOfGocache(t, client)
	if n := callers(t, func() (user, error) { return ours(t.Context(), "42") }); n != 0 {
		t.Errorf("ours: %d loads of a value that is in Redis", n)
	}
	if n := callers(t, func() (user, error) { return insteadOfGocache(t, redistest.Start(t).Client(t))(t.Context(), "42") }); n < 1 {
		t.Errorf("ours: %d loads", n)
	}
}
