// Package redisdb says which Redis the examples use: one that is there, or one of the example's own.
package redisdb

import (
	"errors"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered"
)

// Redis is a client, with the server that it talks to if that is embedded.
type Redis struct {
	Client       *redis.Client
	Describe     string              // for people
	Invalidation tiered.Invalidation // that the server can do

	embedded *miniredis.Miniredis // nil: the server is somebody else's
}

// Open returns a client for the Redis at the URL, which isn't asked yet whether it is there. Without a URL it starts a
// Redis in this process, on a free port that only this machine can reach. It must be closed.
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
	server.ClockTTL(true) // else its keys would expire only when told to: it is made for tests
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("redisdb: the embedded Redis: %w", err)
	}
	return &Redis{
		Client:   redis.NewClient(&redis.Options{Addr: server.Addr()}),
		Describe: "an embedded Redis (miniredis) at " + server.Addr() + "; -redis redis://localhost:6379 takes a real one",

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
