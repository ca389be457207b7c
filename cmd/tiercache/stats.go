package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
	"github.com/tiercache/tiercache/cmd/tiercache/internal/keylist"
	"github.com/tiercache/tiercache/tiered/stored"
)

func statsCommand() *command {
	var limit int
	return &command{
		name:  "stats",
		short: "count the values, tags and leases of each cache, and their size",
		long: `
It reads the names of all keys with SCAN (+scan), the length of 200 values of each cache (+strlen), and the count of invalidations of tags
(+get). The bytes of a cache are estimated by these 200. If the user may use INFO (+info), it also shows what each server has counted.

How many reads were hits, and in which tier, is known only to the processes: Cache.Stats, adapters/otelcache and adapters/promcache.`,
		define: func(f *flags) { f.IntVar(&limit, "limit", 1_000_000, "stop after so many keys") },
		execute: func(ctx context.Context, f *flags, s streams) error {
			if f.NArg() > 0 || limit < 1 {
				return usageError("it takes no arguments, and -limit of 1 or more")
			}
			client, err := f.open(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			all, err := count(ctx, client, f.prefix, limit)
			switch {
			case err != nil:
				return err
			case f.json:
				return printJSON(s.out, all)
			}
			return all.write(s.out)
		},
	}
}

// counts are what Redis has of all caches.
type counts struct {
	Caches   map[string]*cacheCounts `json:"caches"`
	Complete bool                    `json:"complete"` // false: it stopped at the limit
	Servers  []serverCounts          `json:"servers,omitempty"`
}

// cacheCounts are those of a cache.
type cacheCounts struct {
	Values        int   `json:"values"` // with those that are being loaded for the first time
	Leases        int   `json:"leases"` // beside values
	Tags          int   `json:"tags"`
	Bytes         int64 `json:"bytes"`         // of the values, estimated
	Invalidations int64 `json:"invalidations"` // and expiries of tags, since the epoch began

	sample []string // keys of values
}

// serverCounts are what a server has counted since it began, for all its clients.
type serverCounts struct {
	Addr    string `json:"addr,omitempty"`
	Keys    int64  `json:"keys"`
	Memory  string `json:"memory"`
	Ops     string `json:"opsPerSecond"`
	Evicted string `json:"evicted"`
	Expired string `json:"expired"`
}

const sampled = 200

// count reads the names of keys up to the limit.
func count(ctx context.Context, client redis.UniversalClient, prefix string, limit int) (*counts, error) {
	c := &counts{Caches: make(map[string]*cacheCounts)}
	seen := make(map[string]bool) // SCAN may return a key twice
	next, err := keylist.List{Client: client, Prefix: prefix}.Each(ctx, "", func(keys []string) bool {
		for _, key := range keys {
			if !seen[key] {
				seen[key] = true
				c.add(stored.ParseKey(prefix, key), key)
			}
		}
		return len(seen) < limit
	})
	if err != nil {
		return nil, err
	}
	c.Complete = next == ""
	for name, one := range c.Caches {
		if err := one.measure(ctx, client, stored.NewKeys(prefix, name)); err != nil {
			return nil, err
		}
	}
	c.Servers, err = countServers(ctx, client)
	return c, err
}

func (c *counts) add(k stored.Key, key string) {
	if k.Cache == "" {
		return
	}
	one := c.Caches[k.Cache]
	if one == nil {
		one = new(cacheCounts)
		c.Caches[k.Cache] = one
	}
	switch k.Kind {
	case stored.ValueKey:
		one.Values++
		if len(one.sample) < sampled {
			one.sample = append(one.sample, key)
		}
	case stored.LeaseKey:
		one.Leases++
	case stored.TagKey:
		one.Tags++
	}
}

// measure reads the lengths of the sample, and the count of invalidations.
func (c *cacheCounts) measure(ctx context.Context, client redis.UniversalClient, keys stored.Keys) error {
	var invalidations *redis.StringCmd
	lengths := make([]*redis.IntCmd, len(c.sample))
	_, _ = client.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
		invalidations = pipe.Get(ctx, keys.Count())
		for i, key := range c.sample {
			lengths[i] = pipe.StrLen(ctx, key)
		}
		return nil
	})
	c.Invalidations, _ = invalidations.Int64() // 0 if there is none
	var sum int64
	for _, n := range lengths {
		if err := n.Err(); err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return err
		}
		sum += n.Val()
	}
	if len(lengths) > 0 {
		c.Bytes = sum * int64(c.Values) / int64(len(lengths))
	}
	return nil
}

// countServers returns what the servers say of themselves; nothing if the user may not ask.
func countServers(ctx context.Context, client redis.UniversalClient) (all []serverCounts, err error) {
	masters, err := keylist.Masters(ctx, client)
	for _, m := range masters {
		info := connect.Info(ctx, m)
		if len(info) == 0 {
			continue
		}
		keys, err := m.DBSize(ctx).Result()
		if err != nil {
			keys = -1
		}
		all = append(all, serverCounts{m.Addr, keys, info["used_memory_human"], info["instantaneous_ops_per_sec"], info["evicted_keys"], info["expired_keys"]})
	}
	return all, err
}

func (c *counts) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "cache\tvalues\tbytes, about\tleases\ttags\tinvalidations of tags")
	for _, name := range slices.Sorted(maps.Keys(c.Caches)) {
		one := c.Caches[name]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\n", name, one.Values, one.Bytes, one.Leases, one.Tags, one.Invalidations)
	}
	if !c.Complete {
		fmt.Fprintln(t, "There are more keys: these are counts up to the -limit.")
	}
	if len(c.Servers) > 0 {
		fmt.Fprintln(t, "\nserver\tkeys\tmemory\tcommands/s\tevicted\texpired")
	}
	for _, s := range c.Servers {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", cmp.Or(s.Addr, "the only one"), s.Keys, s.Memory, s.Ops, s.Evicted, s.Expired)
	}
	fmt.Fprintln(t, "\nHits are counted by each process: see Cache.Stats, adapters/otelcache and adapters/promcache.")
	return t.Flush()
}
