package browsertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/inspect"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

type user struct {
	ID   int
	Name string
}

// site has the inspector's pages on a server of its own, with the caches that they show.
type site struct {
	url   string
	redis *redistest.Server
	users *tiered.Cache[user]
	pages *httpcache.Cache
}

func everybody(*http.Request) error { return nil }

func nobody(*http.Request) error { return errors.New("the vault's number is 1234") }

// writable are the options of pages that may delete.
var writable = inspect.Options{AllowWrites: true, Authorize: everybody}

// newSite returns a site whose caches begin when the keys were already stored by another process, so that no report of a store is
// still to come.
func newSite(t *testing.T, o inspect.Options, stored ...string) *site {
	t.Helper()
	s := &site{redis: redistest.Start(t)}
	s.users, _ = newUsers(t, s.redis)
	for _, key := range stored {
		s.set(t, key)
	}
	var r *tiered.Redis
	s.users, r = newUsers(t, s.redis)
	var err error
	s.pages, err = httpcache.New(httpcache.Options{Name: "pages", Redis: r, TTL: time.Hour})
	must(t, err)
	t.Cleanup(func() { _ = s.pages.Close() })
	o.Caches = []inspect.Cache{s.users, s.pages}
	h, err := inspect.New(o)
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle("/debug/cache/", http.StripPrefix("/debug/cache", h))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL + "/debug/cache/"
	return s
}

// newUsers returns a cache of users with a connection of its own, as that of another process.
func newUsers(t *testing.T, server *redistest.Server) (*tiered.Cache[user], *tiered.Redis) {
	t.Helper()
	r, err := tiered.NewRedis(server.Client(t), tiered.RedisOptions{Timeout: 5 * time.Second})
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	c, err := tiered.New(tiered.Options[user]{Name: "users", Redis: r, Policy: tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour, RetryAfter: time.Hour}})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, r
}

// read reads a key with a source that has Ada under each, or the error if it isn't nil.
func (s *site) read(t *testing.T, key string, failure error) {
	t.Helper()
	if _, err := s.users.GetOrLoad(t.Context(), key, func(context.Context, *tiered.Entry[user]) (user, error) {
		return user{Name: "Ada"}, failure
	}); err != nil {
		t.Fatal(err)
	}
}

// set stores a user with tags.
func (s *site) set(t *testing.T, key string, tags ...string) {
	t.Helper()
	must(t, s.users.Set(t.Context(), key, user{42, "Ada"}, tags...))
}

// has reports whether Redis has a value of the key.
func (s *site) has(key string) bool { return s.redis.Do("exists", "tc:users:"+key) == int64(1) }

// warm reads a key until the local tier serves it.
func (s *site) warm(t *testing.T, key string) {
	t.Helper()
	observe.Until(t, "a copy of "+key, func() bool {
		k, err := s.users.Inspect(t.Context(), key)
		if err == nil && (k.Local == nil || k.Local.Problem != "") {
			s.read(t, key, nil)
			return false
		}
		return err == nil
	})
}

// rivalSite is a page of another site, with a button that deletes a key of this one.
func (s *site) rivalSite(t *testing.T, host, key string) (url string) {
	t.Helper()
	const page = `<!DOCTYPE html><title>Prizes</title><form method="post" action="%s"><input type="hidden" name="c" value="users">
<input type="hidden" name="what" value="key"><input type="hidden" name="name" value="%s"><button>Win a prize</button></form>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, page, s.url+"purge", key)
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", host, 1)
}
