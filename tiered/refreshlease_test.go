package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// briefly has values that are of use for a short time, and leases that are soon extended.
var briefly = tiered.Policy{
	TTL: 100 * time.Millisecond, StaleIfError: 100 * time.Millisecond, Jitter: -1, LoadTimeout: 3 * time.Second,
}

// patient is a Timeout that a busy machine keeps.
const patient = 5 * time.Second

func isFree(s *redistest.Server, key string) bool {
	return s.Do("EXISTS", "tc:test!lease:"+key) == int64(0)
}

// A load whose value is of no use any more before the load ends runs once: Redis keeps the value a while longer.
func TestValueIsOverBeforeItsLoad(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: mode, Timeout: patient}
			p := briefly
			p.StaleIfError = time.Second // so that the load begins before it is over
			a, b := newProcess(t, s, o, p), newProcess(t, s, o, p)
			set(t, a, "k", "old")
			waitFor(t, func() bool { _, err := a.Get(t.Context(), "k"); return errors.Is(err, tiered.ErrNotFound) })
			g := newGate()
			holder := g.begin(t, a, "k")
			if isFree(s, "k") || leased(s, "k") {
				t.Error("the lease isn't beside the value")
			}
			waitFor(t, func() bool { return isOver(t, b, "k") })
			gets := calls(s, "get")
			waiter := begin(t, b, "k", g.load)
			waitFor(t, func() bool { return calls(s, "get") > gets+1 }) // of the value, and of the lease
			close(g.open)
			holder.gets(t, "load 1")
			waiter.gets(t, "load 1")
			if v, n := stored(s, "k"), g.loads.Load(); v != "load 1" || n != 1 {
				t.Errorf("%d loads, and Redis has %q", n, v)
			}
			waitFor(t, func() bool { return isFree(s, "k") })
		})
	}
}

// isOver reports whether the value is of no use to the cache.
func isOver(t testing.TB, c *tiered.Cache[string], key string) bool {
	e, err := c.Lookup(t.Context(), key)
	return errors.Is(err, tiered.ErrNotFound) && !e.Found
}

// A value that is of no use when its load begins makes way at once; the load may fail.
func TestValueThatWasOver(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := tiered.RedisOptions{Timeout: patient}
	a, b := newProcess(t, s, o, briefly), newProcess(t, s, o, briefly)
	set(t, a, "k", "old")
	waitFor(t, func() bool { return isOver(t, a, "k") })
	waitFor(t, func() bool { return s.Do("PTTL", "tc:test:k").(int64) <= 5000 }) // its last stretch
	if v := stored(s, "k"); v != "old" {
		t.Fatalf("Redis has %q", v)
	}
	broken := errors.New("broken")
	_, err := begin(t, a, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		if !leased(s, "k") || !isFree(s, "k") {
			t.Error("the lease isn't in its place")
		}
		return "", broken
	}).wait(t)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	waitFor(t, func() bool { return s.Do("EXISTS", "tc:test:k") == int64(0) })
	gets(t, b, "k", value("new"), "new")
	if v := stored(s, "k"); v != "new" {
		t.Errorf("Redis has %q", v)
	}
}

// A value that was expired makes way for the lease if Redis drops it soon, so that there is one load although the value is gone.
func TestExpiredValueIsGoneBeforeItsLoad(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o, p := tiered.RedisOptions{Timeout: patient}, tiered.Policy{TTL: 2 * time.Second, Jitter: -1, LoadTimeout: time.Minute}
	a, b := newProcess(t, s, o, p), newProcess(t, s, o, p)
	set(t, a, "k", "old")
	if err := a.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	holder := g.begin(t, a, "k")
	if !leased(s, "k") || !isFree(s, "k") {
		t.Error("the lease isn't in the value's place")
	}
	gets := calls(s, "get")
	waiter := begin(t, b, "k", g.load)
	waitFor(t, func() bool { return calls(s, "get") > gets })
	close(g.open)
	holder.gets(t, "load 1")
	waiter.gets(t, "load 1")
	if n := g.loads.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
}

// If Redis lets the old value expire before its load ends, the next load doesn't wait for that one, and its value stays.
func TestValueIsGoneBeforeItsLoad(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := tiered.RedisOptions{Timeout: patient}
	a, b := newProcess(t, s, o, briefly), newProcess(t, s, o, briefly)
	set(t, a, "k", "old")
	waitFor(t, func() bool { _, err := a.Get(t.Context(), "k"); return errors.Is(err, tiered.ErrNotFound) })
	g := newGate()
	holder := g.begin(t, a, "k")
	s.Do("PEXPIRE", "tc:test:k", 0) // the five seconds are over
	gets(t, b, "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		if !leased(s, "k") {
			t.Error("the second load has no lease")
		}
		e.Policy.TTL = time.Hour
		return "second", nil
	}, "second")
	close(g.open)
	holder.gets(t, "load 1")
	waitFor(t, func() bool { return isFree(s, "k") })
	if v, n := stored(s, "k"), g.loads.Load(); v != "second" || n != 1 {
		t.Errorf("%d first loads, and Redis has %q", n, v)
	}
	gets(t, a, "k", g.load, "second")
}

// What a lease was taken beside may be written while the load goes on: that stays.
func TestValueIsWrittenBeforeItIsOver(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := briefly
	p.StaleIfError = time.Second
	o := tiered.RedisOptions{Timeout: patient}
	a, b := newProcess(t, s, o, p), newProcess(t, s, o, tiered.Policy{})
	set(t, a, "k", "old")
	waitFor(t, func() bool { _, err := a.Get(t.Context(), "k"); return errors.Is(err, tiered.ErrNotFound) })
	g := newGate()
	holder := g.begin(t, a, "k")
	if isFree(s, "k") {
		t.Error("no lease beside it")
	}
	set(t, b, "k", "written")
	before := calls(s, "eval")
	waitFor(t, func() bool { return calls(s, "eval") > before }) // the lease is extended
	close(g.open)
	holder.gets(t, "load 1")
	if v := stored(s, "k"); v != "written" {
		t.Errorf("Redis has %q", v)
	}
	waitFor(t, func() bool { return isFree(s, "k") })
}

// Nobody needs a value to stay whose loads wait until it is gone.
func TestValueWithoutLoadsBeside(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{}, tiered.Policy{TTL: time.Second, Jitter: -1})
	set(t, c, "k", "v")
	if p := s.Do("PTTL", "tc:test:k").(int64); p > 1000 {
		t.Errorf("it is there for %d ms", p)
	}
}

// mishap is a go-redis hook that calls its functions once each, before the script that takes a lease beside a value and after it.
type mishap struct {
	redis.Hook
	before, after atomic.Pointer[func(redis.Cmder)]
}

func (m *mishap) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mishap) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m *mishap) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() != "eval" || !strings.Contains(fmt.Sprint(args[3]), "!lease:") {
			return next(ctx, cmd)
		}
		if before := m.before.Swap(nil); before != nil {
			(*before)(cmd)
		}
		_ = next(ctx, cmd) // the command has the error
		if after := m.after.Swap(nil); after != nil {
			(*after)(cmd)
		}
		return cmd.Err()
	}
}

// twoWithAMishap returns the caches of two processes, of which the second uses the hook, with a value that both refresh.
func twoWithAMishap(t *testing.T, m *mishap) (s *redistest.Server, a, b *tiered.Cache[string]) {
	s = redistest.Start(t)
	client := s.Client(t)
	client.AddHook(m)
	p := tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}
	a = newProcess(t, s, tiered.RedisOptions{Timeout: patient}, p)
	b = newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, tiered.RedisOptions{Timeout: patient}), Policy: p})
	set(t, a, "k", "old")
	if err := a.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	return s, a, b
}

// A process that takes its lease when another has just refreshed the value, or deleted it, doesn't go by what it read before.
func TestValueIsReplacedBeforeItsLease(t *testing.T) {
	t.Run("refreshed", func(t *testing.T) {
		t.Parallel()
		var m mishap
		s, a, b := twoWithAMishap(t, &m)
		refresh := func(redis.Cmder) {
			gets(t, a, "k", value("new"), "new")
			waitFor(t, func() bool { return isFree(s, "k") })
		}
		m.before.Store(&refresh)
		gets(t, b, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
			t.Error("a second load")
			return "second", nil
		}, "new")
		if m.before.Load() != nil {
			t.Error("no lease was taken")
		}
		waitFor(t, func() bool { return isFree(s, "k") })
	})
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		var m mishap
		s, a, b := twoWithAMishap(t, &m)
		remove := func(redis.Cmder) {
			if err := a.Delete(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		}
		m.before.Store(&remove)
		gets(t, b, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
			if !leased(s, "k") { // e may still have the old value, of which b's local tier can hear later
				t.Error("the load has no lease under the key")
			}
			return "new", nil
		}, "new")
		if v := stored(s, "k"); v != "new" {
			t.Errorf("Redis has %q", v)
		}
		waitFor(t, func() bool { return isFree(s, "k") })
	})
}

// A lease beside a value whose reply was lost is released with the others.
func TestLostReplyToALeaseBeside(t *testing.T) {
	var m mishap
	s, _, b := twoWithAMishap(t, &m)
	lost := func(cmd redis.Cmder) { cmd.SetErr(io.ErrUnexpectedEOF) }
	m.after.Store(&lost)
	gets(t, b, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		if m.after.Load() != nil || isFree(s, "k") {
			t.Error("no lease was taken")
		}
		return "new", nil
	}, "new")
	waitFor(t, func() bool { return isFree(s, "k") })
	if v := stored(s, "k"); v != "new" {
		t.Errorf("Redis has %q", v)
	}
}
