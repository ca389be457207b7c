//go:build !windows

package chaos

import (
	"errors"
	"slices"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

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
				Invalidation: w.Options.Invalidation,
			})
			if err != nil {
				return nil, errors.Join(err, leave())
			}
			closers = append(closers, r.Close)
			tiers[entry.strict] = r
		}
		c, err := tiered.New(tiered.Options[Value]{
			Name: cacheName, Redis: r, MaxCost: w.Options.MaxCost, MaxLoads: w.Options.MaxLoads, Version: releaseName(w.Release),
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

// stats adds up the caches' counters.
func (w *worker) stats() tally {
	var sum tally
	for _, m := range w.instances {
		sum.add(m.cache.Stats())
	}
	return sum
}

// op returns a new operation of the instance, which isn't in the journal yet.
func (w *worker) op(m *instance, kind history.Kind, key string) *history.Op {
	return &history.Op{ID: w.next(), Process: m.process, Kind: kind, Key: key, Strict: m.strict && kind == history.Read}
}
