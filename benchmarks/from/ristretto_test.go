package from_test

import (
	"context"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/tiered"
)

// newRistretto returns a read through ristretto and singleflight.
func newRistretto(t *testing.T) func(ctx context.Context, id string) (user, error) {
	users, err := ristretto.NewCache(&ristretto.Config[string, user]{
		NumCounters: 100_000,
		MaxCost:     10_000,
		BufferItems: 64,
	})
	if err != nil {
		panic(err)
	}
	t.Cleanup(users.Close)

	var group singleflight.Group
	return func(ctx context.Context, id string) (user, error) {
		if u, ok := users.Get(id); ok {
			return u, nil
		}
		v, err, _ := group.Do(id, func() (any, error) {
			u, err := load(ctx, id) // the first caller's context: its end is an error for all
			if err == nil {
				users.SetWithTTL(id, u, 1, time.Hour)
			}
			return u, err
		})
		if err != nil {
			return user{}, err
		}
		return v.(user), nil
	}
}

// insteadOfRistretto returns the same read through tiercache, in this process alone.
func insteadOfRistretto(t *testing.T) func(ctx context.Context, id string) (user, error) {
	users, err := tiered.New(tiered.Options[user]{
		Name:    "users",
		MaxCost: 10_000,
		Policy:  tiered.Policy{TTL: time.Hour},
	})
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = users.Close() })

	return func(ctx context.Context, id string) (user, error) {
		return users.GetOrLoad(ctx, id, func(ctx context.Context, e *tiered.Entry[user]) (user, error) {
			return load(ctx, e.Key)
		})
	}
}

func TestFromRistretto(t *testing.T) {
	for name, read := range map[string]func(ctx context.Context, id string) (user, error){"theirs": newRistretto(t), "ours": insteadOfRistretto(t)} {
		if n := callers(t, func() (user, error) { return read(t.Context(), "42") }); n < 1 || name == "ours" && n > 1 {
			t.Errorf("%s: %d loads", name, n)
		}
	}
}
