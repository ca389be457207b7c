package tiercachetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiercachetest"
	"github.com/tiercache/tiercache/tiered"
)

// Article is what the code under test reads.
type Article struct{ Title string }

// Articles is the code under test: a store with a cache in front.
type Articles struct {
	cache *tiered.Cache[*Article]
	query func(ctx context.Context, id string) (*Article, error)
}

func (a *Articles) Get(ctx context.Context, id string) (*Article, error) {
	return a.cache.GetOrLoad(ctx, id, func(ctx context.Context, _ *tiered.Entry[*Article]) (*Article, error) {
		return a.query(ctx, id)
	})
}

func query(_ context.Context, id string) (*Article, error) { return &Article{Title: "On " + id}, nil }

// An article is read from the database once in five minutes. The five minutes take no time.
func TestArticlesAreCached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache := tiercachetest.New(t, tiered.Options[*Article]{Policy: tiered.Policy{TTL: 5 * time.Minute, Jitter: -1}})
		articles := &Articles{cache: cache.Cache, query: query}
		for range 10 {
			if _, err := articles.Get(t.Context(), "cats"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := cache.Loads("cats"); n != 2 {
			t.Errorf("%d loads in ten minutes, want 2", n)
		}
	})
}

// The service goes on while Redis is down.
func TestArticlesWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := tiercachetest.StartRedis(t)
	cache := tiercachetest.New(t, tiered.Options[*Article]{Redis: redis.Tier(t, tiered.RedisOptions{})})
	articles := &Articles{cache: cache.Cache, query: query}
	redis.Kill()
	if _, err := articles.Get(t.Context(), "cats"); err != nil {
		t.Error(err)
	}
}

// An example of tests that use this package is in the file that contains it.
func Example() {}
