//go:build !windows

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

// workerEnv is set in the environment of workers.
const workerEnv = "TIERCACHE_CHAOS_WORKER"

// assignment configures a worker. It is the first line of its standard input.
type assignment struct {
	Incarnation int
	Slot        int
	Options     Options
	Plan        plan
	Source      string // its address
	Journal     string // the file
	Callers     int    // if not 0, the workload is a stampede of so many callers
}

// worker is a process of this program that acts as a service with caches.
type worker struct {
	assignment
	identity
	journal   *journal
	source    *sourceClient
	instances []*instance
}

// instance is one of a worker's caches. It is a process of the record, since it has a local tier of its own.
type instance struct {
	process int
	strict  bool
	cache   *tiered.Cache[Value]
}

// IsWorker reports whether this process was started as a worker, and so must only call Work.
func IsWorker() bool { return os.Getenv(workerEnv) != "" }

// Work runs the worker until its standard input ends, and returns the exit code.
func Work() int {
	redis.SetLogger(silence{}) // connections break on purpose
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: worker:", err)
		return 1
	}
	return 0
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func work(in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the assignment: %w", err)
	}
	w := &worker{}
	if err := json.Unmarshal(first, &w.assignment); err != nil {
		return fmt.Errorf("reading the assignment: %w", err)
	}
	w.incarnation = w.Incarnation
	w.source = newSourceClient(w.Source)
	defer w.source.close()
	if w.journal, err = createJournal(w.Journal); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.journal.close()) }()
	leave, err := w.openCaches()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fmt.Fprintln(out, "ready")
	var result any
	if w.Callers > 0 {
		var at int64
		if _, err := fmt.Fscanln(lines, &at); err != nil {
			return fmt.Errorf("waiting for the start: %w", err)
		}
		result = w.stampede(ctx, at)
	} else {
		go func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, lines) // until the parent closes it, or dies
		}()
		w.runActors(ctx)
		result = w.stats()
	}
	return json.NewEncoder(out).Encode(result)
}

// openCaches makes the caches of cacheConfigs. The returned function closes them.
func (w *worker) openCaches() (leave func() error, err error) {
	var closers []func() error
	leave = func() (err error) {
		for _, close := range slices.Backward(closers) {
			err = errors.Join(err, close())
		}
		return err
	}
	tiers := make(map[bool]*tiered.Redis) // by Strict
	for i, entry := range cacheConfigs {
		r := tiers[entry.strict]
		if r == nil {
			client := w.Plan.open()
			closers = append(closers, client.Close)
			r, err = tiered.NewRedis(client, tiered.RedisOptions{
				Prefix: redisPrefix, Timeout: w.Options.Timeout, Heartbeat: w.Options.Heartbeat, Strict: entry.strict,
			})
			if err != nil {
				return nil, errors.Join(err, leave())
			}
			closers = append(closers, r.Close)
			tiers[entry.strict] = r
		}
		c, err := tiered.New(tiered.Options[Value]{
			Name: cacheName, Redis: r, MaxCost: w.Options.MaxCost,
			Policy: tiered.Policy{TTL: valueTTL, LocalTTL: entry.localTTL, NotFoundTTL: absentTTL, LoadTimeout: loadTimeout},
		})
		if err != nil {
			return nil, errors.Join(err, leave())
		}
		closers = append(closers, c.Close)
		w.instances = append(w.instances, &instance{processID(w.incarnation, i), entry.strict, c})
	}
	return leave, nil
}

// tally is a worker's result: the sum of its caches' counters.
type tally struct {
	tiered.Stats
}

// stats adds up the caches' counters.
func (w *worker) stats() tally {
	var sum tally
	for _, m := range w.instances {
		sum.add(m.cache.Stats())
	}
	return sum
}

func (t *tally) add(s tiered.Stats) {
	t.LocalHits += s.LocalHits
	t.RemoteHits += s.RemoteHits
	t.Misses += s.Misses
	t.Collapsed += s.Collapsed
	t.Loads += s.Loads
	t.LoadErrors += s.LoadErrors
	t.RedisErrors += s.RedisErrors
	t.CodecErrors += s.CodecErrors
	t.Evicted += s.Evicted
	t.Rejected += s.Rejected
}

// op returns a new operation of the instance, which isn't in the journal yet.
func (w *worker) op(m *instance, kind history.Kind, key string) *history.Op {
	return &history.Op{ID: w.next(), Process: m.process, Kind: kind, Key: key, Strict: m.strict && kind == history.Read}
}
