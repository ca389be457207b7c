//go:build !race

package tiered_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

type service struct {
	users *tiered.Cache[*user]
	load  tiered.Loader[*user]
}

func (s *service) loadUser(context.Context, *tiered.Entry[*user]) (*user, error) {
	return &user{ID: 7}, nil
}

// A hit in the local tier allocates nothing, with and without a Trace. (Not under the race detector, which makes sync.Pool forget.)
func TestLocalHitAllocatesNothing(t *testing.T) {
	for name, trace := range map[string]*tiered.Trace{"no trace": nil, "a trace": (&recorder{t: t}).trace()} {
		t.Run(name, func(t *testing.T) { testLocalHitAllocatesNothing(t, trace) })
	}
}

func testLocalHitAllocatesNothing(t *testing.T, trace *tiered.Trace) {
	s := &service{users: newCache(t, tiered.Options[*user]{Trace: trace})}
	s.load = s.loadUser
	ctx := t.Context()
	if _, err := s.users.GetOrLoad(ctx, "7", s.load); err != nil {
		t.Fatal(err)
	}
	view := s.users.With(func(p *tiered.Policy) { p.LocalTTL = time.Millisecond })
	for name, hit := range map[string]func() error{
		"GetOrLoad":     func() error { _, err := s.users.GetOrLoad(ctx, "7", s.load); return err },
		"Get":           func() error { _, err := s.users.Get(ctx, "7"); return err },
		"Get in a view": func() error { _, err := view.Get(ctx, "7"); return err },
		"Lookup":        func() error { _, err := s.users.Lookup(ctx, "7"); return err },
	} {
		if n := testing.AllocsPerRun(10_000, func() {
			if err := hit(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if st := s.users.Stats(); st.Loads != 1 {
		t.Errorf("stats %+v", st)
	}
}

// A miss and a hit in Redis allocate no more than they did when docs/performance.md was written, with room for what the background does.
// Of a miss with None go-redis makes 17, and of a hit 7.
func TestAllocationsOfMissesAndRedisHits(t *testing.T) {
	s := redistest.Start(t)
	ctx, u := t.Context(), &user{ID: 7}
	load := func(context.Context, *tiered.Entry[*user]) (*user, error) { return u, nil }
	for _, tc := range []struct {
		mode       tiered.Invalidation
		miss, hits float64
	}{{tiered.None, 80, 30}, {tiered.Tracking, 108, 30}} {
		open := func() func() {
			c, next := newCache(t, tiered.Options[*user]{Name: fmt.Sprint(tc.mode), Redis: newRedis(t, s, tiered.RedisOptions{Invalidation: tc.mode})}), 0
			return func() {
				next++
				if _, err := c.GetOrLoad(ctx, idKey(next), load); err != nil {
					t.Error(err)
				}
			}
		}
		read := open()
		for range 20 { // until a miss is expected
			read()
		}
		misses := testing.AllocsPerRun(1000, read)
		hits := testing.AllocsPerRun(1000, open())
		t.Logf("%v: %v, %v", tc.mode, misses, hits)
		if misses > tc.miss || hits > tc.hits {
			t.Errorf("%v: a miss allocates %v times, want %v at most; a hit %v, want %v", tc.mode, misses, tc.miss, hits, tc.hits)
		}
	}
}

// A large value that is read from Redis takes its bytes once: it is a part of the buffer that the client read it into. Its keys are read
// twice, since a read of a key whose value is known to be large is another one. The values stay what they were read as.
func TestLargeHitTakesItsBytesOnce(t *testing.T) {
	const n, size = 50, 100_000
	s := redistest.Start(t)
	for _, cd := range []codec.Codec{codec.Raw, codec.S2(codec.Raw, 0)} {
		o := tiered.Options[[]byte]{Name: "large", Codec: cd, Redis: newRedis(t, s, tiered.RedisOptions{}), Policy: longLived}
		writer := newCache(t, o)
		o.Redis = newRedis(t, s, tiered.RedisOptions{})
		c := newCache(t, o)
		values := make(map[string][]byte, n)
		for i := range n {
			values[idKey(i)] = bytes.Repeat([]byte{byte(i), byte(i >> 4)}, size/2)
		}
		missing := func(context.Context, *tiered.Entry[[]byte]) ([]byte, error) { return nil, tiered.ErrNotFound }
		var seen []map[string][]byte
		for round := range 2 {
			if err := writer.SetMany(t.Context(), values); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { return c.Stats().Entries == 0 }) // Redis has reported the changes
			got := make(map[string][]byte, n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for key := range values {
				v, err := c.GetOrLoad(t.Context(), key, missing)
				if err != nil {
					t.Fatal(err)
				}
				got[key] = v
			}
			runtime.ReadMemStats(&after)
			stored := uint64(size)
			if cd != codec.Raw {
				stored += size / 10 // compressed
			}
			if each := (after.TotalAlloc - before.TotalAlloc) / n; each > stored*5/4 {
				t.Errorf("%s, round %d: %d bytes for a value of %d", cd.Name(), round, each, size)
			}
			seen = append(seen, got)
		}
		for round, got := range seen {
			for key, v := range got {
				if !bytes.Equal(v, values[key]) {
					t.Errorf("%s, round %d: %s became %s", cd.Name(), round, key, fmt.Sprintf("%.20q", v))
				}
			}
		}
	}
}
