package from_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// newRueidisaside returns a read through rueidisaside.
func newRueidisaside(t *testing.T, addr string) func(ctx context.Context, id string) (user, error) {
	client, err := rueidisaside.NewClient(rueidisaside.ClientOption{
		ClientOption: rueidis.ClientOption{InitAddress: []string{addr}},
	})
	if err != nil {
		panic(err)
	}
	users := rueidisaside.NewTypedCacheAsideClient(client,
		func(u *user) (string, error) { b, err := json.Marshal(u); return string(b), err },
		func(s string) (*user, error) { var u user; err := json.Unmarshal([]byte(s), &u); return &u, err },
	)
	t.Cleanup(client.Close)

	return func(ctx context.Context, id string) (user, error) {
		u, err := users.Get(ctx, time.Hour, "app:users:"+id, func(ctx context.Context, _ string) (*user, error) {
			u, err := load(ctx, id)
			return &u, err
		})
		if err != nil {
			return user{}, err
		}
		return *u, nil
	}
}

// insteadOfRueidisaside returns the same read through tiercache, whose codec is JSON unless another is asked for.
func insteadOfRueidisaside(t *testing.T, addr string) func(ctx context.Context, id string) (user, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	second, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: "app:"})
	if err != nil {
		panic(err)
	}
	users, err := tiered.New(tiered.Options[user]{
		Name:   "users",
		Redis:  second,
		Policy: tiered.Policy{TTL: time.Hour},
	})
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = errors.Join(users.Close(), second.Close(), client.Close()) })

	return func(ctx context.Context, id string) (user, error) {
		return users.GetOrLoad(ctx, id, func(ctx context.Context, e *tiered.Entry[user]) (user, error) {
			return load(ctx, e.Key)
		})
	}
}

// What rueidisaside has in Redis is read as it is. The mark that it leaves while it loads isn't a value.
func TestFromRueidisaside(t *testing.T) {
	s := redistest.Start(t)
	theirs := newRueidisaside(t, s.Addr())
	if n := callers(t, func() (user, error) { return theirs(t.Context(), "42") }); n != 1 {
		t.Errorf("theirs: %d loads", n)
	}
	ours := insteadOfRueidisaside(t, s.Addr())
	if n := callers(t, func() (user, error) { return ours(t.Context(), "42") }); n != 0 {
		t.Errorf("ours: %d loads of a value that is in Redis", n)
	}
	s.Do("SET", "app:users:42", rueidisaside.PlaceholderPrefix+"somebody")
	again := insteadOfRueidisaside(t, s.Addr())
	if n := callers(t, func() (user, error) { return again(t.Context(), "42") }); n != 1 {
		t.Errorf("ours: %d loads", n)
	}
}
