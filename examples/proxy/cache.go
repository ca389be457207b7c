package main

import (
	"time"

	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/tiered"
)

// newCache makes the cache. Its TTL is for responses that don't say themselves how long they are fresh.
func newCache(s settings, r *remote) (*httpcache.Cache, error) {
	return httpcache.New(httpcache.Options{
		Name:  "proxy",
		Redis: r.tier,
		TTL:   s.ttl,

		Heuristic:    true,
		StaleIfError: time.Hour,
		ShareCookies: true,
		StorePosts:   true,
	})
}

// remote is the Redis behind the cache, or none.
type remote struct {
	client *redis.Client
	tier   *tiered.Redis // nil: the cache is in this process's memory only
}

func openRedis(url string) (*remote, error) {
	if url == "" {
		return &remote{}, nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("-redis: %w", err)
	}
	client := redis.NewClient(o)
	tier, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &remote{client: client, tier: tier}, nil
}

// Close closes the tier and the client.
func (r *remote) Close() error {
	if r.tier == nil {
		return nil
	}
	return errors.Join(r.tier.Close(), r.client.Close())
}
