//go:build !windows

package pgxcache_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tiercache/tiercache/internal/faultproxy"
	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var historyTime = flag.Duration("history.time", 3*time.Second, "how long TestHistory's transactions take")

// hold is for how long the writers' holds last: longer than a COMMIT takes.
const hold = 500 * time.Millisecond

// observer records which versions of the rows were seen, and the reads of the caches.
type observer struct {
	mu    sync.Mutex
	seen  map[int64]int64 // when a version was first read from the database
	ops   []history.Op
	reads int64
}

// read records a read of a cache.
func (o *observer) read(op history.Op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	op.ID, op.Kind = -o.reads, history.Read
	o.ops = append(o.ops, op)
}

// see records that the version was read from the database: it was committed before.
func (o *observer) see(version int64) {
	at := history.Clock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[version] == 0 {
		o.seen[version] = at
	}
}

// watch reads the database until ctx ends, so that commits are seen also if the caches don't load.
func (o *observer) watch(ctx context.Context, pool *pgxpool.Pool) {
	for ctx.Err() == nil {
		rows, _ := pool.Query(ctx, "SELECT version FROM items") // rows has the error
		versions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		for _, v := range versions {
			if err == nil {
				o.see(v)
			}
		}
		time.Sleep(2 * time.Millisecond) // the database has other work
	}
}

// loading returns a loader that takes some time, before or after it has read the row.
func (o *observer) loading(pool *pgxpool.Pool) tiered.Loader[int64] {
	load := loading(pool)
	return func(ctx context.Context, e *tiered.Entry[int64]) (int64, error) {
		pause := time.Duration(rand.IntN(12)) * time.Millisecond
		early := rand.IntN(3) == 0
		if early {
			time.Sleep(pause)
		}
		version, err := load(ctx, e)
		if err == nil {
			o.see(version)
		}
		if !early {
			time.Sleep(pause)
		}
		return version, err
	}
}

// TestHistory makes transactions in processes that are killed, over connections that are terminated, while caches in other processes
// read. The history checker then looks for values that are older than a row whose transaction was committed: one that returned, or one
// of a process that was killed or got an error, whose row a load has read.
func TestHistory(t *testing.T) {
	url, pool := database(t)
	execute(t, pool, "UPDATE commits SET sleeps = 0.04")
	for _, name := range []string{"tracking", "pubsub", "cluster"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "tracking" {
				t.Skip("one is enough")
			}
			const most = 5 // on a busy machine a run may be too short to show anything
			for n := 1; !startRun(t, name, url, pool).check(t); n++ {
				if n == most {
					t.Fatalf("%d runs show nothing", n)
				}
			}
		})
	}
}

// startRun starts Redis and makes a run of TestHistory.
func startRun(t *testing.T, name, url string, pool *pgxpool.Pool) *run {
	r := &run{url: url, pool: pool, observer: observer{seen: make(map[int64]int64)}}
	switch name {
	case "cluster":
		r.redis = strings.Join(redistest.StartCluster(t).Addrs(), ",")
		r.slow = r.redis
	case "pubsub":
		r.mode = tiered.PubSub
		fallthrough
	default:
		r.redis = redistest.Start(t).Addr()
		slow := faultproxy.Start(t, r.redis)
		slow.Delay(2 * time.Millisecond) // the writers are between two steps for longer
		r.slow = slow.Addr()
	}
	r.insert(t)
	r.make(t)
	return r
}

// run is a run of TestHistory.
type run struct {
	observer
	url   string
	pool  *pgxpool.Pool
	mode  tiered.Invalidation
	redis string // its address
	slow  string // the writers' address of it

	processes int
}

// insert makes the first version of each row.
func (r *run) insert(t *testing.T) {
	execute(t, r.pool, "TRUNCATE items")
	at := history.Clock()
	for i := range hkeys {
		id := int64(1 + 2*i)
		execute(t, r.pool, "INSERT INTO items VALUES ($1, $2)", hkey(i), id)
		r.ops = append(r.ops, history.Op{ID: id, Kind: history.Load, Key: hkey(i), Tags: []string{tagOf(hkey(i))}, Start: at, End: history.Clock(), OK: true})
	}
}

// make runs the writers and the readers.
func (r *run) make(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *historyTime)
	defer cancel()
	var all sync.WaitGroup
	for i := range 3 {
		c := newCacheAt(t, r.redis, tiered.RedisOptions{Invalidation: r.mode, Heartbeat: heartbeat, Timeout: timeout, Strict: true})
		if i > 0 {
			c = c.With(func(p *tiered.Policy) { p.LocalTTL = time.Millisecond }) // it reads from Redis, where the checks are exact
		}
		for range 6 {
			all.Go(func() { r.readAll(ctx, c, 1+i) })
		}
	}
	for range 4 {
		all.Go(func() { r.writeAll(ctx, t) })
	}
	all.Go(func() { r.terminate(ctx) })
	others := newCacheAt(t, r.redis, tiered.RedisOptions{Invalidation: r.mode, Heartbeat: heartbeat, Timeout: timeout})
	all.Go(func() { r.disturb(ctx, others) })
	all.Go(func() { r.watch(ctx, r.pool) })
	all.Wait()
}

// readAll reads keys of a cache until ctx ends.
func (r *run) readAll(ctx context.Context, c *tiered.Cache[int64], process int) {
	load := r.loading(r.pool)
	for ctx.Err() == nil {
		op := history.Op{Process: process, Key: hkey(rand.IntN(hkeys)), Start: history.Clock(), Strict: true}
		var err error
		if rand.IntN(2) == 0 {
			op.Value, err = c.GetOrLoad(ctx, op.Key, load)
		} else {
			var e tiered.Entry[int64]
			e, err = c.Lookup(ctx, op.Key)
			op.Value, op.Tier = e.Value, history.Local
			if e.Tier == tiered.Remote {
				op.Tier = history.Remote
			}
		}
		if op.OK, op.End = err == nil, history.Clock(); op.OK {
			r.read(op)
		}
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // the database isn't asked all the time
	}
}

// writeAll starts one writer after the other and kills each, until ctx ends.
func (r *run) writeAll(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		r.mu.Lock()
		r.processes++
		n := r.processes
		r.mu.Unlock()
		name := []string{"sql", "pgx"}[n%2]
		p, err := startWriter(order{
			URL: r.url, Redis: r.slow, Adapter: name, Log: filepath.Join(t.TempDir(), fmt.Sprint("writer-", n)), Process: 100 + n, Mode: r.mode, Hold: hold,
		})
		if err != nil {
			t.Error(err)
			return
		}
		p.awaitFirst(ctx) // on a busy machine it takes a while to start
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(300)) * time.Millisecond):
		}
		ops, err := p.kill()
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.ops = append(r.ops, ops...)
		r.mu.Unlock()
	}
}

// disturb holds and deletes keys until ctx ends, as transactions that are rolled back do, and those of other rows.
func (r *run) disturb(ctx context.Context, c *tiered.Cache[int64]) {
	for ctx.Err() == nil {
		key := hkey(rand.IntN(hkeys))
		if h, err := c.Hold(ctx, hold, []string{key}, nil); err == nil && rand.IntN(2) == 0 {
			_ = h.Release(ctx) // Redis may be busy
		} else if err == nil {
			_ = h.Invalidate(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(30)) * time.Millisecond):
		}
	}
}

// terminate terminates connections of writers until ctx ends.
func (r *run) terminate(ctx context.Context) {
	for ctx.Err() == nil {
		_, _ = r.pool.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer' ORDER BY random() LIMIT 1")
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(150)) * time.Millisecond):
		}
	}
}

// check looks for violations, and reports whether the run could have had some.
func (r *run) check(t *testing.T) bool {
	r.mu.Lock() // a loader may still run whose callers have left
	defer r.mu.Unlock()
	returned, silent := 0, 0
	for i := range r.ops {
		op := &r.ops[i]
		made := op.ID // of the version that the transaction made
		if op.Kind == history.Delete || op.Kind == history.InvalidateTags {
			made--
		}
		seen := r.seen[made]
		switch {
		case op.Kind == history.Read:
		case op.OK:
			returned++
		case op.End == 0 && seen != 0: // committed, but the writer didn't say so
			op.End, op.OK = seen, true
			silent++
		}
	}
	s := history.Check(&history.Record{
		Delta: delta, Slack: 50 * time.Millisecond, Ops: r.ops, Disturbed: []history.Window{{Process: -1, End: 1 << 62}},
	})
	t.Logf("%d writers, %d operations of transactions that returned, %d of others that were committed\n%s", r.processes, returned, silent, s)
	if len(s.Violations) > 0 {
		t.Error("a value is older than a committed row")
	}
	return returned > 0 && (silent > 0 || testing.Short()) && s.Checks["G1"] > 0 && s.Checks["G2"] > 0
}
