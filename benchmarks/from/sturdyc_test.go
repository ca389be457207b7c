package from_test

import (
	"context"
	"testing"
	"time"

	"github.com/viccon/sturdyc"

	"github.com/tiercache/tiercache/tiered"
)

// newSturdyc returns a read through sturdyc, which replaces values between 30 and 50 minutes old in the background.
func newSturdyc() func(ctx context.Context, id string) (user, error) {
	users := sturdyc.New[user](10_000, 10, time.Hour, 10,
		sturdyc.WithEarlyRefreshes(30*time.Minute, 50*time.Minute, 55*time.Minute, time.Second),
		sturdyc.WithMissingRecordStorage(),
	)
	return func(ctx context.Context, id string) (user, error) {
		return users.GetOrFetch(ctx, id, func(ctx context.Context) (user, error) {
			return load(ctx, id) // sturdyc.ErrNotFound: there is none
		})
	}
}

// insteadOfSturdyc returns the same read through tiercache.
func insteadOfSturdyc(t *testing.T) func(ctx context.Context, id string) (user, error) {
	users, err := tiered.New(tiered.Options[user]{
		Name:    "users",
		MaxCost: 10_000,
		Policy: tiered.Policy{
			TTL:          time.Hour,
			RefreshAfter: 30 * time.Minute,
			NotFoundTTL:  time.Hour,
		},
	})
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = users.Close() })

	return func(ctx context.Context, id string) (user, error) {
		return users.GetOrLoad(ctx, id, func(ctx context.Context, e *tiered.Entry[user]) (user, error) {
			return load(ctx, e.Key) // tiered.ErrNotFound: there is none
		})
	}
}

func TestFromSturdyc(t *testing.T) {
	for name, read := range map[string]func(ctx context.Context, id string) (user, error){"theirs": newSturdyc(), "ours": insteadOfSturdyc(t)} {
		if n := callers(t, func() (user, error) { return read(t.Context(), "42") }); n < 1 || name == "ours" && n > 1 {
			t.Errorf("%s: %d loads", name, n)
		}
	}
}
