//go:build !windows

package pgxcache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// scene is a row "k" of version 1, which two caches have.
type scene struct {
	url           string
	pool          *pgxpool.Pool
	redis         *redistest.Server
	writer, other *tiered.Cache[int64]
	adapter       adapter
}

// TestTransactions runs each test with each adapter, by key and by tag.
func TestTransactions(t *testing.T) {
	url, pool := database(t)
	for what, test := range map[string]func(t *testing.T, s *scene, invalidate func(transaction)){
		"commit": testCommit, "rollback": testRollback, "refused": testRefusedCommit, "hung": testHungCommit, "terminated": testTerminated,
		"canceled": testCanceled, "savepoint": testSavepoint, "Redis is down": testRedisIsDown, "context ends": testContextEnds, "several caches": testSeveralCaches,
	} {
		t.Run(what, func(t *testing.T) { scenes(t, url, pool, test) })
	}
}

func scenes(t *testing.T, url string, pool *pgxpool.Pool, test func(t *testing.T, s *scene, invalidate func(transaction))) {
	for name := range adapters {
		for _, by := range []string{"key", "tag"} {
			t.Run(name+"/"+by, func(t *testing.T) {
				execute(t, pool, "UPDATE commits SET waits = false, fails = false, sleeps = 0")
				execute(t, pool, "TRUNCATE items")
				execute(t, pool, "INSERT INTO items VALUES ('k', 1)")
				s := &scene{url: url, pool: pool, redis: redistest.Start(t), adapter: newAdapter(t, name, url)}
				s.writer, s.other = newCache(t, s.redis, tiered.RedisOptions{}), newCache(t, s.redis, tiered.RedisOptions{})
				s.gets(t, s.writer, 1)
				s.gets(t, s.other, 1)
				test(t, s, func(tx transaction) {
					if by == "key" {
						tx.Delete(s.writer, "k")
					} else {
						tx.InvalidateTags(s.writer, tagOf("k"))
					}
				})
			})
		}
	}
}

// gets checks that the cache returns the version.
func (s *scene) gets(t testing.TB, c *tiered.Cache[int64], want int64) {
	t.Helper()
	if v, err := c.GetOrLoad(t.Context(), "k", loading(s.pool)); v != want || err != nil {
		t.Errorf("version %d, %v; want %d", v, err, want)
	}
}

// follows waits until the other cache returns the version, from Redis or its own memory.
func (s *scene) follows(t testing.TB, want int64) {
	t.Helper()
	observe.Until(t, "the cached version", func() bool {
		if v, err := s.other.GetOrLoad(t.Context(), "k", loading(s.pool)); err != nil || v != want {
			return false
		}
		v, err := s.other.Get(t.Context(), "k")
		return err == nil && v == want
	})
}

// update makes the row's version 2 in a transaction.
func (s *scene) update(ctx context.Context, o aftercommit.Options, invalidate func(transaction)) error {
	return s.adapter.inTx(ctx, o, func(tx transaction, exec func(string, ...any) error) error {
		invalidate(tx)
		return exec("UPDATE items SET version = 2 WHERE key = 'k'")
	})
}

func (s *scene) version(t testing.TB) (v int64) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT version FROM items WHERE key = 'k'").Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func testCommit(t *testing.T, s *scene, invalidate func(transaction)) {
	if err := s.update(t.Context(), aftercommit.Options{}, invalidate); err != nil {
		t.Fatal(err)
	}
	s.gets(t, s.writer, 2)
	s.follows(t, 2)
}

// A transaction that isn't committed changes nothing in the caches.
func testRollback(t *testing.T, s *scene, invalidate func(transaction)) {
	for name, f := range map[string]func() error{
		"error":  func() error { return io.ErrUnexpectedEOF },
		"panic":  func() error { panic(io.ErrUnexpectedEOF) },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		done := make(chan error, 1)
		go func() {
			defer close(done)
			defer func() {
				if thrown := recover(); thrown != nil {
					done <- thrown.(error)
				}
			}()
			done <- s.adapter.inTx(t.Context(), aftercommit.Options{}, func(tx transaction, exec func(string, ...any) error) error {
				invalidate(tx)
				if err := exec("UPDATE items SET version = 2 WHERE key = 'k'"); err != nil {
					return err
				}
				return f()
			})
		}()
		if err, returned := <-done; returned && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
		for range done {
		}
		if v, err := s.other.Get(t.Context(), "k"); v != 1 || err != nil {
			t.Errorf("%s: version %d, %v", name, v, err)
		}
		execute(t, s.pool, "UPDATE items SET version = 1") // the row isn't locked any more
	}
}

// A COMMIT that PostgreSQL refuses ends the hold at once.
func testRefusedCommit(t *testing.T, s *scene, invalidate func(transaction)) {
	execute(t, s.pool, "UPDATE commits SET fails = true")
	err := s.update(t.Context(), aftercommit.Options{Hold: time.Hour}, invalidate)
	if err == nil || errors.Is(err, aftercommit.ErrUnknown) || errors.Is(err, aftercommit.ErrCommitted) {
		t.Errorf("%v", err)
	}
	s.follows(t, 1)
}

// hang begins a transaction whose COMMIT hangs until release is called.
func (s *scene) hang(ctx context.Context, t *testing.T, invalidate func(transaction)) (done chan error, release func()) {
	t.Helper()
	lock, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	execute(t, s.pool, "UPDATE commits SET waits = true")
	if _, err := lock.Exec(t.Context(), "SELECT pg_advisory_lock(1)"); err != nil {
		t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() { done <- s.update(ctx, aftercommit.Options{Hold: time.Hour}, invalidate) }()
	observe.Until(t, "the hung COMMIT", func() bool {
		var n int
		err := s.pool.QueryRow(t.Context(), "SELECT count(*) "+hung).Scan(&n)
		return err == nil && n == 1
	})
	return done, func() {
		t.Helper()
		defer lock.Release()
		if _, err := lock.Exec(t.Context(), "SELECT pg_advisory_unlock(1)"); err != nil {
			t.Fatal(err)
		}
	}
}

// hung selects the connection whose COMMIT hangs.
const hung = "FROM pg_stat_activity WHERE wait_event = 'advisory'"

// isNotStored checks that Redis has no value.
func (s *scene) isNotStored(t *testing.T) {
	t.Helper()
	if v, err := newCache(t, s.redis, tiered.RedisOptions{}).Get(t.Context(), "k"); err != tiered.ErrNotFound {
		t.Errorf("Redis has version %d, %v", v, err)
	}
}

// While a COMMIT hangs, readers don't wait for it, and the old row isn't stored.
func testHungCommit(t *testing.T, s *scene, invalidate func(transaction)) {
	done, release := s.hang(t.Context(), t, invalidate)
	for _, c := range []*tiered.Cache[int64]{s.writer, s.other} {
		observe.Until(t, "a miss", func() bool { _, err := c.Get(t.Context(), "k"); return err != nil })
		s.gets(t, c, 1)
	}
	s.isNotStored(t)
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.gets(t, s.writer, 2)
	s.follows(t, 2)
}

// If the connection is lost during COMMIT, the caller is told that the outcome isn't known, and the hold stays.
func testTerminated(t *testing.T, s *scene, invalidate func(transaction)) {
	done, release := s.hang(t.Context(), t, invalidate)
	execute(t, s.pool, "SELECT pg_terminate_backend(pid) "+hung)
	if err := <-done; !errors.Is(err, aftercommit.ErrUnknown) {
		t.Error(err)
	}
	release()
	s.gets(t, newCache(t, s.redis, tiered.RedisOptions{}), s.version(t))
	s.isNotStored(t)
}

// Nor is the outcome known if the context ends during COMMIT.
func testCanceled(t *testing.T, s *scene, invalidate func(transaction)) {
	ctx, cancel := context.WithCancel(t.Context())
	done, release := s.hang(ctx, t, invalidate)
	cancel()
	if err := <-done; !errors.Is(err, aftercommit.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	s.gets(t, newCache(t, s.redis, tiered.RedisOptions{}), s.version(t))
	s.isNotStored(t)
}

// What was added before a rollback to a savepoint is invalidated with the rest.
func testSavepoint(t *testing.T, s *scene, invalidate func(transaction)) {
	if err := s.adapter.inTx(t.Context(), aftercommit.Options{}, func(tx transaction, exec func(string, ...any) error) error {
		invalidate(tx)
		return errors.Join(exec("SAVEPOINT a"), exec("UPDATE items SET version = 2"), exec("ROLLBACK TO a"), exec("UPDATE items SET version = 3"))
	}); err != nil {
		t.Fatal(err)
	}
	s.gets(t, s.writer, 3)
	s.follows(t, 3)
}

// If Redis can't hold the changes, the transaction isn't committed, unless the options say so.
func testRedisIsDown(t *testing.T, s *scene, invalidate func(transaction)) {
	s.redis.Kill()
	err := s.update(t.Context(), aftercommit.Options{}, invalidate)
	if err == nil || errors.Is(err, aftercommit.ErrUnknown) || errors.Is(err, aftercommit.ErrCommitted) || s.version(t) != 1 {
		t.Errorf("version %d, %v", s.version(t), err)
	}
	err = s.update(t.Context(), aftercommit.Options{Unheld: true}, invalidate)
	if !errors.Is(err, tiered.ErrQueued) || !errors.Is(err, aftercommit.ErrCommitted) || s.version(t) != 2 {
		t.Errorf("unheld: version %d, %v", s.version(t), err)
	}
	s.gets(t, s.writer, 2)
}

// A context that has ended prevents the commit.
func testContextEnds(t *testing.T, s *scene, invalidate func(transaction)) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.adapter.inTx(ctx, aftercommit.Options{}, func(tx transaction, exec func(string, ...any) error) error {
		invalidate(tx)
		defer cancel()
		return exec("UPDATE items SET version = 2 WHERE key = 'k'")
	})
	if !errors.Is(err, context.Canceled) || s.version(t) != 1 {
		t.Errorf("version %d, %v", s.version(t), err)
	}
	s.follows(t, 1)
}

// Several caches, of different types, are invalidated by one transaction.
func testSeveralCaches(t *testing.T, s *scene, invalidate func(transaction)) {
	names, err := tiered.New(tiered.Options[string]{Name: "names"})
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	if err := names.Set(t.Context(), "k", "old", "tag"); err != nil {
		t.Fatal(err)
	}
	for i, also := range []func(transaction){
		func(tx transaction) { tx.Delete(names, "k") }, func(tx transaction) { tx.InvalidateTags(names, "tag") },
	} {
		if err := s.update(t.Context(), aftercommit.Options{}, func(tx transaction) { also(tx); invalidate(tx) }); err != nil {
			t.Fatal(err)
		}
		if v, err := names.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("%d: %q, %v", i, v, err)
		}
		s.follows(t, 2)
		if err := names.Set(t.Context(), "k", fmt.Sprint("newer ", i), "tag"); err != nil {
			t.Fatal(err)
		}
	}
}
