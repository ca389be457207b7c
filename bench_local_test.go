package tiercache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/tiered"
)

func newRistretto(b *testing.B, capacity int64) *ristretto.Cache[string, *user] {
	b.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, *user]{
		NumCounters:        10 * capacity,
		MaxCost:            capacity,
		BufferItems:        64,
		IgnoreInternalCost: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

// loadUser is a source that takes no time.
func loadUser(_ context.Context, e *tiered.Entry[*user]) (*user, error) {
	id, err := strconv.Atoi(e.Key[len("user:"):])
	if err != nil {
		return nil, err
	}
	return newUser(id), nil
}

// warmCache returns a cache that has every user, and a function that reads one of them.
func warmCache(b *testing.B) (*tiered.Cache[*user], reader) {
	b.Helper()
	c := newCache(b, tiered.Options[*user]{})
	load := tiered.Loader[*user](loadUser) // bound once: a hit allocates nothing
	ctx := b.Context()
	read := func(id int) (*user, error) { return c.GetOrLoad(ctx, userKeys[id], load) }
	check(b, read)
	return c, read
}

// onlyLocalHits fails the benchmark if a read went further than the local tier.
func onlyLocalHits(b *testing.B, c *tiered.Cache[*user], f func()) {
	b.Helper()
	before := c.Stats()
	f()
	if after := c.Stats(); after.Misses != before.Misses || after.LocalHits == before.LocalHits {
		b.Errorf("not only local hits: %+v, and before %+v", after, before)
	}
}

func BenchmarkLocalHit(b *testing.B) {
	floor := newRistretto(b, 10*population)
	for id, key := range userKeys {
		floor.SetWithTTL(key, newUser(id), 1, time.Hour)
	}
	floor.Wait()
	readFloor := func(id int) (*user, error) {
		u, ok := floor.Get(userKeys[id])
		if !ok {
			return nil, errMissing
		}
		return u, nil
	}
	check(b, readFloor)
	cache, read := warmCache(b)

	for _, keys := range []struct {
		name string
		order
	}{
		{"hot64", hotUsers(64)},
		{"uniform10k", everyUser()},
		{"zipf10k", zipfUsers()},
	} {
		for _, mode := range modes {
			at := "keys=" + keys.name + "/mode=" + mode.name
			b.Run(at+"/impl=ristretto", func(b *testing.B) { mode.run(keys.order, b, readFloor) })
			b.Run(at+"/impl=tiercache", func(b *testing.B) {
				onlyLocalHits(b, cache, func() { mode.run(keys.order, b, read) })
			})
		}
	}
}

// BenchmarkCounting measures what Stats costs a local hit, which counts itself once as it begins and once as a hit, in
// counters striped like these: "counted-twice" does that a second time.
func BenchmarkCounting(b *testing.B) {
	var stripes [64]struct {
		begun, hits atomic.Uint64
		_           [48]byte // a cache line each
	}
	cache, read := warmCache(b)
	countedTwice := func(id int) (*user, error) {
		s := &stripes[id%len(stripes)]
		s.begun.Add(1)
		u, err := read(id)
		s.hits.Add(1)
		return u, err
	}
	for _, keys := range []int{64, 1} { // one key is one stripe, for all goroutines
		for _, mode := range modes {
			at := fmt.Sprintf("keys=hot%d/mode=%s", keys, mode.name)
			for _, impl := range []struct {
				name string
				read reader
			}{{"counted", read}, {"counted-twice", countedTwice}} {
				b.Run(at+"/impl="+impl.name, func(b *testing.B) {
					onlyLocalHits(b, cache, func() { mode.run(hotUsers(keys), b, impl.read) })
				})
			}
		}
	}
}

// BenchmarkMiss reads a key that was never read before, each time, in caches that have been full for long. The source
// makes the user in no time, or decodes it from JSON.
func BenchmarkMiss(b *testing.B) {
	encoded, err := json.Marshal(newUser(1))
	if err != nil {
		b.Fatal(err)
	}
	one := newUser(1)
	for _, source := range []struct {
		name string
		load func() (*user, error)
	}{
		{"instant", func() (*user, error) { return one, nil }},
		{"json", func() (*user, error) {
			u := new(user)
			return u, json.Unmarshal(encoded, u)
		}},
	} {
		for _, impl := range []struct {
			name string
			open func(*testing.B, func() (*user, error)) func(key string) (*user, error)
		}{
			{"none", func(_ *testing.B, load func() (*user, error)) func(string) (*user, error) {
				return func(string) (*user, error) { return load() }
			}},
			{"byhand", missByHand},
			{"byhand-detached", missDetached},
			{"tiercache", missTiercache},
		} {
			get := impl.open(b, source.load)
			next := 0
			read := func(int) (*user, error) {
				next++
				return get(userKey(next))
			}
			for range 2 {
				check(b, func(id int) (*user, error) { // fills the cache
					_, err := read(id)
					return newUser(id), err
				})
			}
			b.Run("source="+source.name+"/impl="+impl.name, func(b *testing.B) { everyUser().serial(b, read) })
		}
	}
}

const missCapacity = population / 10

// missByHand is code without a library: ristretto, and a singleflight against stampedes.
func missByHand(b *testing.B, load func() (*user, error)) func(string) (*user, error) {
	c := newRistretto(b, missCapacity)
	var flights singleflight.Group
	return func(key string) (*user, error) {
		if u, ok := c.Get(key); ok {
			return u, nil
		}
		v, err, _ := flights.Do(key, func() (any, error) {
			u, err := load()
			if err == nil {
				c.SetWithTTL(key, u, 1, time.Hour)
			}
			return u, err
		})
		if err != nil {
			return nil, err
		}
		return v.(*user), nil
	}
}

// missDetached is missByHand with a load that continues when the context of its first caller ends.
func missDetached(b *testing.B, load func() (*user, error)) func(string) (*user, error) {
	c := newRistretto(b, missCapacity)
	var flights singleflight.Group
	detached := func(ctx context.Context, key string) (*user, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		u, err := load()
		if err == nil && ctx.Err() == nil {
			c.SetWithTTL(key, u, 1, time.Hour)
		}
		return u, err
	}
	ctx := b.Context()
	return func(key string) (*user, error) {
		if u, ok := c.Get(key); ok {
			return u, nil
		}
		select {
		case r := <-flights.DoChan(key, func() (any, error) { return detached(ctx, key) }):
			if r.Err != nil {
				return nil, r.Err
			}
			return r.Val.(*user), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func missTiercache(b *testing.B, source func() (*user, error)) func(string) (*user, error) {
	c := newCache(b, tiered.Options[*user]{MaxCost: missCapacity})
	load := func(context.Context, *tiered.Entry[*user]) (*user, error) { return source() }
	ctx := b.Context()
	return func(key string) (*user, error) { return c.GetOrLoad(ctx, key, load) }
}
