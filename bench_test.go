package tiercache_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Sub-benchmarks of one name do the same work; benchstat compares each impl= with the first, the floor. bench_test.go has
// the tiers side by side, and what all share; the other files have one tier each, and the HTTP adapter.

// user is about 170 bytes of JSON.
type user struct {
	ID     int      `json:"id"`
	Name   string   `json:"name"`
	Email  string   `json:"email"`
	City   string   `json:"city"`
	Roles  []string `json:"roles"`
	Age    int      `json:"age"`
	Active bool     `json:"active"`
}

func newUser(id int) *user {
	return &user{
		ID:     id,
		Name:   "Ada Lovelace the " + strconv.Itoa(id) + "th",
		Email:  "ada.lovelace." + strconv.Itoa(id) + "@analytical.example",
		City:   "London",
		Roles:  []string{"reader", "writer", "admin"},
		Age:    36,
		Active: id%2 == 0,
	}
}

const population = 10_000 // users

// userKeys are made beforehand, so that building a key isn't measured.
var userKeys = func() []string {
	all := make([]string, population)
	for id := range all {
		all[id] = userKey(id)
	}
	return all
}()

func userKey(id int) string { return "user:" + strconv.Itoa(id) }

// An order is a sequence of users, which are read one after the other and then again from the start.
type order []int

// everyUser visits all users once before it repeats one.
func everyUser() order { return rand.New(rand.NewPCG(1, 2)).Perm(population) }

func hotUsers(n int) order { return everyUser()[:n] }

func zipfUsers() order {
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 1, population-1)
	shuffled := everyUser() // so that the favourites aren't neighbours
	o := make(order, 1<<14)
	for i := range o {
		o[i] = shuffled[zipf.Uint64()]
	}
	return o
}

// reader reads a user with one implementation.
type reader func(id int) (*user, error)

// check reads every user once, to make sure that the implementation works.
func check(b *testing.B, read reader) {
	b.Helper()
	for id := range population {
		if u, err := read(id); err != nil || u.ID != id {
			b.Fatalf("user %d: got %+v, %v", id, u, err)
		}
	}
}

func (o order) serial(b *testing.B, read reader) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := read(o[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(o) {
			i = 0
		}
	}
}

// parallel lets each goroutine read in order, beginning at a place of its own.
func (o order) parallel(b *testing.B, read reader) {
	var walkers atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := int(walkers.Add(1)) * 7919 % len(o)
		for pb.Next() {
			if _, err := read(o[i]); err != nil {
				b.Error(err)
				return
			}
			if i++; i == len(o) {
				i = 0
			}
		}
	})
}

var modes = []struct {
	name string
	run  func(order, *testing.B, reader)
}{
	{"serial", order.serial},
	{"parallel", order.parallel},
}

func newCache[T any](b *testing.B, o tiered.Options[T]) *tiered.Cache[T] {
	b.Helper()
	if o.Name == "" {
		o.Name = "bench"
	}
	if o.Policy.TTL == 0 {
		o.Policy.TTL = time.Hour
	}
	c, err := tiered.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	return c
}

// callers makes RunParallel run n goroutines, or a few more.
func callers(b *testing.B, n int) {
	b.SetParallelism((n + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
}

const (
	pages    = 200
	pageSize = 20
	table    = 200 // rows that the source looks at for a page
)

// pageSource answers with a page of 20 users, for which it decodes ten times as many from JSON: work of the order of a
// database's for such a query, and no sleep.
type pageSource struct{ rows [table][]byte }

func newPageSource(b *testing.B) *pageSource {
	b.Helper()
	s := new(pageSource)
	for id := range s.rows {
		var err error
		if s.rows[id], err = json.Marshal(newUser(id)); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func (s *pageSource) load(_ context.Context, e *tiered.Entry[[]user]) ([]user, error) {
	page, err := strconv.Atoi(e.Key)
	if err != nil {
		return nil, err
	}
	found := make([]user, 0, pageSize)
	for _, row := range s.rows {
		var u user
		if err := json.Unmarshal(row, &u); err != nil {
			return nil, err
		}
		if u.ID%(table/pageSize) == page%(table/pageSize) {
			found = append(found, u)
		}
	}
	return found, nil
}

// BenchmarkTiers reads 200 pages of 20 users, some far more often than others (Zipf). The local tier has room for 20 of
// them, Redis for all.
func BenchmarkTiers(b *testing.B) {
	source := newPageSource(b)
	load := source.load
	ctx := b.Context()
	client := redistest.Start(b).Client(b)
	keys := make([]string, 1<<12)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 1, pages-1)
	for i := range keys {
		keys[i] = strconv.FormatUint(zipf.Uint64(), 10)
	}
	for _, cd := range codecs {
		open := func(name string, r *tiered.Redis, p tiered.Policy) pageReader {
			c := newCache(b, tiered.Options[[]user]{Name: cd.Name() + "." + name, Redis: r, Codec: cd, MaxCost: pages / 10, Policy: p})
			read := func(key string) ([]user, error) { return c.GetOrLoad(ctx, key, load) }
			for _, key := range keys { // fills the tiers
				if us, err := read(key); err != nil || len(us) != pageSize {
					b.Fatalf("page %s: got %d users, %v", key, len(us), err)
				}
			}
			return read
		}
		uncached := func(key string) ([]user, error) { return load(ctx, &tiered.Entry[[]user]{Key: key}) }
		for _, impl := range []struct {
			name string
			read pageReader
		}{
			{"none", uncached},
			{"redis", open("redis", newRedis(b, client), tiered.Policy{LocalTTL: briefly})},
			{"local", open("local", nil, tiered.Policy{})},
			{"both", open("both", newRedis(b, client), tiered.Policy{})},
		} {
			b.Run("codec="+cd.Name()+"/impl="+impl.name, func(b *testing.B) { impl.read.serial(b, keys) })
		}
	}
}

// pageReader reads a page with one implementation.
type pageReader func(key string) ([]user, error)

func (read pageReader) serial(b *testing.B, keys []string) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := read(keys[i]); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % len(keys)
	}
}
