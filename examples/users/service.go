package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/tiered"
)

// Service returns and updates users. It caches each user under its ID.
type Service struct {
	db    *userdb.DB
	cache *tiered.Cache[userdb.User]
	load  tiered.Loader[userdb.User] // bound once: s.loadUser written at the call would allocate on every hit
}

const userCache = "users" // in Redis and in metrics

// NewService returns a service with a cache of its own. The caller must close it. trace gets what the cache does; nil: nobody does.
func NewService(db *userdb.DB, redis *tiered.Redis, trace *tiered.Trace) (*Service, error) {
	cache, err := tiered.New(tiered.Options[userdb.User]{
		Name:  userCache,
		Redis: redis,
		Trace: trace,
		Policy: tiered.Policy{
			TTL:         time.Minute,
			NotFoundTTL: 10 * time.Second,
		},
	})
	if err != nil {
		return nil, err
	}
	s := &Service{db: db, cache: cache}
	s.load = s.loadUser
	return s, nil
}

// User returns one user, or [tiered.ErrNotFound].
func (s *Service) User(ctx context.Context, id int64) (userdb.User, error) {
	return s.cache.GetOrLoad(ctx, userKey(id), s.load)
}

// loadUser is called on a miss, and only once if several requests want the user at the same time.
func (s *Service) loadUser(ctx context.Context, e *tiered.Entry[userdb.User]) (userdb.User, error) {
	id, err := strconv.ParseInt(e.Key, 10, 64)
	if err != nil {
		return userdb.User{}, err
	}
	u, err := s.db.Get(ctx, id)
	return u, notFound(err)
}

// Update changes a user's profile and returns the user as it is now, or [tiered.ErrNotFound]. If only the cached user
// could not be removed, it returns the user with an error.
func (s *Service) Update(ctx context.Context, id int64, p userdb.Profile) (userdb.User, error) {
	u, err := s.db.Update(ctx, id, p)
	if err != nil {
		return userdb.User{}, notFound(err)
	}
	// This comes after the update, since a read between the two would cache the old user again. It also runs if the client
	// has disconnected.
	if err := s.cache.Delete(context.WithoutCancel(ctx), userKey(id)); err != nil {
		return u, fmt.Errorf("user %d is updated, but may be cached as it was: %w", id, err)
	}
	return u, nil
}

// Stats returns the cache's counters.
func (s *Service) Stats() tiered.Stats { return s.cache.Stats() }

// Close closes the cache.
func (s *Service) Close() error { return s.cache.Close() }

func userKey(id int64) string { return strconv.FormatInt(id, 10) }

// notFound turns sql.ErrNoRows into the cache's own error.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", tiered.ErrNotFound, err)
	}
	return err
}
