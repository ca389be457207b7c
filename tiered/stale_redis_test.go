package tiered_test

import (
	"context"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// brief is fresh for no time at all, nearly.
func brief(p tiered.Policy) tiered.Policy {
	p.TTL, p.LocalTTL, p.RefreshAfter, p.Jitter = time.Millisecond, 0, 0, -1
	return p
}

// isStale waits until the process has the key's brief value as a stale one, in whichever tier: of what it has stored itself it
// knows the age by its own clock, and of what it reads by its estimate of Redis's, which may be a little ahead.
func isStale(t testing.TB, c *tiered.Cache[string], key string) {
	t.Helper()
	waitFor(t, func() bool {
		e, err := c.Lookup(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return e.State == tiered.Stale && e.Age > 20*time.Millisecond
	})
}

// settled returns when both processes know the epoch that the first of them began: until then what they have read
// counts as invalidated. They have to be two: what a process writes itself it has before it hears of it.
func settled(t testing.TB, how tiered.Invalidation, a, b *tiered.Cache[string]) {
	t.Helper()
	if how != tiered.None {
		lasting := func(p *tiered.Policy) { p.TTL = time.Hour }
		a, b = a.With(lasting), b.With(lasting)
		caughtUp(t, a, b)
		caughtUp(t, b, a)
	}
}

// A stale value that only Redis has, from another process, is served if the load fails.
func TestStaleValueInRedis(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: how}
			p := brief(tiered.Policy{StaleIfError: time.Hour, RetryAfter: time.Hour})
			a, b := newProcess(t, s, o, p), newProcess(t, s, o, p)
			set(t, a, "k", "old", "tag")
			isStale(t, a, "k")
			settled(t, how, a, b)
			loads := 0
			for range 3 {
				gets(t, b, "k", failing(&loads), "old")
			}
			if loads != 1 {
				t.Errorf("%d loads within RetryAfter", loads)
			}
			if err := a.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			if how != tiered.None {
				waitFor(t, func() bool { // the failure is forgotten with the value
					_, err := b.GetOrLoad(t.Context(), "k", failing(&loads))
					return err == errDown
				})
			}
		})
	}
}

// An expired value that is kept as a fallback isn't served otherwise: not after it was offered, nor while it is.
func TestExpiredValueIsOnlyAFallback(t *testing.T) {
	t.Parallel()
	for name, ifError := range map[string]time.Duration{"with StaleIfError": time.Hour, "without": 0} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			p := tiered.Policy{TTL: time.Hour, StaleIfError: ifError}
			c := newProcess(t, s, tiered.RedisOptions{}, p)
			settled(t, tiered.Tracking, newProcess(t, s, tiered.RedisOptions{}, p), c)
			set(t, c, "k", "old")
			if err := c.Expire(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			isGone := func(when string) {
				t.Helper()
				for range 3 {
					if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
						t.Errorf("%s: %q, %v", when, v, err)
					}
				}
			}
			isGone("at first")
			_, _ = c.Lookup(t.Context(), "k")
			isGone("after Lookup")
			g := newGate()
			call := g.begin(t, c, "k")
			isGone("during a load")
			close(g.open)
			call.gets(t, "load 1")
			if err := c.Expire(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			loads := 0
			v, err := c.GetOrLoad(t.Context(), "k", failing(&loads))
			if ifError > 0 && (v != "load 1" || err != nil) || ifError == 0 && err != errDown {
				t.Errorf("%q, %v", v, err)
			}
			isGone("after a load that failed")
		})
	}
}

// What Redis tells late of the write that made a value stale takes nothing from who asks for it at once.
func TestFallbackRightAfterExpire(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}
			c := newProcess(t, s, tiered.RedisOptions{Invalidation: how}, p)
			settled(t, how, newProcess(t, s, tiered.RedisOptions{Invalidation: how}, p), c)
			loads := 0
			for range 300 {
				set(t, c, "k", "old")
				if err := c.Expire(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				gets(t, c, "k", failing(&loads), "old")
			}
		})
	}
}

// A batch gets along with what Redis has in different states.
func TestStaleBatchInRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour, Jitter: -1}
	a, b := newProcess(t, s, tiered.RedisOptions{}, p), newProcess(t, s, tiered.RedisOptions{}, p)
	set(t, a, "fresh", "old")
	for _, key := range []string{"fallback", "again"} {
		set(t, a, key, "old")
		if err := a.Expire(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	s.Do("SET", "tc:test:foreign", `"theirs"`)
	s.Do("SET", "tc:test:garbage", "{")
	batch := func(context.Context, []string) (map[string]string, error) {
		return map[string]string{"again": "new", "missing": "new"}, errDown
	}
	keys := []string{"fresh", "fallback", "again", "foreign", "garbage", "missing"}
	got, err := tiered.GetOrLoadMany(t.Context(), b, keys, self, batch)
	want := map[string]string{"fresh": "old", "fallback": "old", "again": "new", "foreign": "theirs", "missing": "new"}
	for _, key := range keys {
		if got[key] != want[key] {
			t.Errorf("%s is %q", key, got[key])
		}
	}
	if err != errDown {
		t.Error(err)
	}
	follows(t, a, "again", "new")
	if n := s.Do("EXISTS", "tc:test!lease:fallback", "tc:test!lease:again"); n != int64(0) {
		waitFor(t, func() bool { return s.Do("EXISTS", "tc:test!lease:fallback", "tc:test!lease:again") == int64(0) })
	}
}
