// Package redisdb opens the Redis that an example uses: a running server, or an embedded one.
package redisdb

import (
	"errors"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered"
)

// Redis is a client, and its server if that is embedded.
type Redis struct {
	Client       *redis.Client
	Describe     string              // for people
	Invalidation tiered.Invalidation // a kind that the server supports

	embedded *miniredis.Miniredis // nil: the server isn't embedded
}

// Open returns a client for the Redis at the URL. It doesn't connect yet. With an empty URL it starts a
// Redis in this process, on a free port of the loopback interface. The caller must close it.
func Open(url string) (*Redis, error) {
	if url == "" {
		return embed()
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redisdb: the Redis URL: %w", err)
	}
	return &Redis{Client: redis.NewClient(o), Describe: "Redis at " + o.Addr}, nil
}

func embed() (*Redis, error) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // by default keys expire only when a test says so
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("redisdb: the embedded Redis: %w", err)
	}
	return &Redis{
		Client:   redis.NewClient(&redis.Options{Addr: server.Addr()}),
		Describe: "an embedded Redis (miniredis) at " + server.Addr() + "; use a real one with -redis redis://localhost:6379",

		Invalidation: tiered.PubSub, // it has no client-side caching
		embedded:     server,
	}, nil
}

// Close closes the client, and ends the server if it is embedded.
func (r *Redis) Close() error {
	err := r.Client.Close()
	if r.embedded != nil {
		r.embedded.Close()
	}
	if err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("redisdb: closing: %w", err)
	}
	return nil
}
