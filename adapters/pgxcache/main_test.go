//go:build !windows

package pgxcache_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx" of database/sql
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/pgxcache"
	"github.com/tiercache/tiercache/adapters/sqlcache"
	"github.com/tiercache/tiercache/internal/pgtest"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// A writer that tests kill is this binary, started once more.
func TestMain(m *testing.M) {
	if order := os.Getenv(writerEnv); order != "" {
		os.Exit(write(order))
	}
	redis.SetLogger(silent{}) // servers are killed
	goleak.VerifyTestMain(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// schema has rows with a version, and a COMMIT that can be made to wait, by an advisory lock, or to fail.
const schema = `
CREATE TABLE items (key text PRIMARY KEY, version bigint NOT NULL);
CREATE TABLE commits (waits bool NOT NULL, fails bool NOT NULL, sleeps float NOT NULL);
INSERT INTO commits VALUES (false, false, 0);
CREATE FUNCTION at_commit() RETURNS trigger AS $$
DECLARE c commits;
BEGIN
	SELECT * INTO c FROM commits;
	IF c.fails THEN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END IF;
	IF c.waits THEN PERFORM pg_advisory_xact_lock(1); END IF;
	PERFORM pg_sleep(random() * c.sleeps);
	RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit();`

// database starts a server with the schema.
func database(t testing.TB) (url string, pool *pgxpool.Pool) {
	t.Helper()
	url = pgtest.Start(t).URL()
	pool = connect(t, url)
	execute(t, pool, schema)
	return url, pool
}

// connect returns a pool that is closed when t ends.
func connect(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func execute(t testing.TB, pool *pgxpool.Pool, query string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// transaction is what both adapters have in common.
type transaction interface {
	Delete(c aftercommit.Cache, keys ...string)
	InvalidateTags(c aftercommit.Cache, tags ...string)
}

// adapter runs transactions with one of the adapters.
type adapter interface {
	inTx(ctx context.Context, o aftercommit.Options, f func(tx transaction, exec func(query string, args ...any) error) error) error
	close()
}

type sqlAdapter struct{ db *sql.DB }

func newSQL(url string) (adapter, error) {
	db, err := sql.Open("pgx", url)
	return sqlAdapter{db}, err
}

func (a sqlAdapter) inTx(ctx context.Context, o aftercommit.Options, f func(transaction, func(string, ...any) error) error) error {
	return sqlcache.InTx(ctx, a.db, sqlcache.Options{Options: o, RolledBack: pgxcache.RolledBack}, func(tx *sqlcache.Tx) error {
		return f(tx, func(query string, args ...any) error {
			_, err := tx.ExecContext(ctx, query, args...)
			return err
		})
	})
}

func (a sqlAdapter) close() { _ = a.db.Close() }

type pgxAdapter struct{ pool *pgxpool.Pool }

func newPgx(url string) (adapter, error) {
	pool, err := pgxpool.New(context.Background(), url)
	return pgxAdapter{pool}, err
}

func (a pgxAdapter) inTx(ctx context.Context, o aftercommit.Options, f func(transaction, func(string, ...any) error) error) error {
	return pgxcache.InTx(ctx, a.pool, pgxcache.Options{Options: o}, func(tx *pgxcache.Tx) error {
		return f(tx, func(query string, args ...any) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	})
}

func (a pgxAdapter) close() { a.pool.Close() }

var adapters = map[string]func(url string) (adapter, error){"sql": newSQL, "pgx": newPgx}

// newAdapter returns an adapter that is closed when t ends.
func newAdapter(t testing.TB, name, url string) adapter {
	t.Helper()
	a, err := adapters[name](url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a
}

// newCache returns a cache with a second tier of its own, as another process has it.
func newCache(t testing.TB, s *redistest.Server, o tiered.RedisOptions) *tiered.Cache[int64] {
	t.Helper()
	return newCacheAt(t, s.Addr(), o)
}

func newCacheAt(t testing.TB, addr string, o tiered.RedisOptions) *tiered.Cache[int64] {
	t.Helper()
	c, end, err := openCache(addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return c
}

func openCache(addr string, o tiered.RedisOptions) (c *tiered.Cache[int64], end func(), err error) {
	if o.Timeout == 0 {
		o.Timeout = 500 * time.Millisecond // so that a slow machine isn't taken for a slow Redis
	}
	o.Logger = slog.New(slog.DiscardHandler)
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(addr, ",")}) // of a Cluster, if there are several
	r, err := tiered.NewRedis(client, o)
	if err != nil {
		return nil, nil, err
	}
	c, err = tiered.New(tiered.Options[int64]{Name: "items", Redis: r, Policy: tiered.Policy{TTL: time.Hour}, Logger: o.Logger})
	if err != nil {
		return nil, nil, err
	}
	return c, sync.OnceFunc(func() { _, _, _ = c.Close(), r.Close(), client.Close() }), nil
}

// loading returns a loader that reads the row of the key, whose value has the tag of its key.
func loading(pool *pgxpool.Pool) tiered.Loader[int64] {
	return func(ctx context.Context, e *tiered.Entry[int64]) (version int64, err error) {
		e.Tags = []string{tagOf(e.Key)}
		err = pool.QueryRow(ctx, "SELECT version FROM items WHERE key = $1", e.Key).Scan(&version)
		return version, err
	}
}

func tagOf(key string) string { return "tag of " + key }
