package benchmarks_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// user is about 130 bytes of msgpack.
type user struct {
	ID     int
	Name   string
	Email  string
	City   string
	Roles  []string
	Age    int
	Active bool
}

// source loads users, and counts the loads.
type source struct {
	delay time.Duration // how long a load takes
	loads atomic.Int64
}

func (s *source) load(ctx context.Context, key string) (*user, error) {
	s.loads.Add(1)
	if s.delay > 0 {
		timer := time.NewTimer(s.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	id, err := strconv.Atoi(key[len("user:"):])
	if err != nil {
		return nil, err
	}
	return &user{
		ID:     id,
		Name:   "Ada Lovelace the " + strconv.Itoa(id) + "th",
		Email:  "ada.lovelace." + strconv.Itoa(id) + "@analytical.example",
		City:   "London",
		Roles:  []string{"reader", "writer", "admin"},
		Age:    36,
		Active: id%2 == 0,
	}, nil
}

func userKey(id int) string { return "user:" + strconv.Itoa(id) }

// keep is the TTL of all peers.
const keep = time.Hour

// setting says how a peer is set up.
type setting struct {
	source   *source
	capacity int           // of the local tier, in users; 0: every read goes to Redis
	client   *redis.Client // nil: in-process only
}

// reader reads a user through a peer: from its cache, or else from the source.
type reader interface {
	read(ctx context.Context, key string) (*user, error)
}

// peer is a library, or code without one. The reader that open returns is closed when the test ends.
type peer struct {
	name    string
	open    func(t testing.TB, s setting) reader
	inRedis bool // it uses the setting's client, if there is one
}

// of returns the setting for the peer with the source.
func (s setting) of(p peer, from *source) setting {
	s.source = from
	if !p.inRedis {
		s.client = nil
	}
	return s
}

func closeWith(t testing.TB, end func() error) {
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
