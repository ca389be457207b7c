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

// briefly has values that are soon over, and leases that are soon extended.
var briefly = tiered.Policy{
	TTL: 100 * time.Millisecond, StaleIfError: 100 * time.Millisecond, Jitter: -1, LoadTimeout: 3 * time.Second,
}

// patient is a Timeout that a busy machine keeps.
const patient = 5 * time.Second

func isFree(s *redistest.Server, key string) bool {
	return s.Do("EXISTS", "tc:test!lease:"+key) == int64(0)
}

// What is loaded beside a value is loaded once also when the value is over before the load is.
func TestValueIsOverBeforeItsLoad(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			o := tiered.RedisOptions{Invalidation: mode, Timeout: patient}
			a, b := newProcess(t, s, o, briefly), newProcess(t, s, o, briefly)
			set(t, a, "k", "old")
			waitFor(t, func() bool { _, err := a.Get(t.Context(), "k"); return errors.Is(err, tiered.ErrNotFound) })
			g := newGate()
			holder := g.begin(t, a, "k")
			waitFor(t, func() bool { return leased(s, "k") && isFree(s, "k") })
			gets := calls(s, "get")
			waiter := begin(t, b, "k", g.load)
			waitFor(t, func() bool { return calls(s, "get") > gets })
			close(g.open)
			holder.gets(t, "load 1")
			waiter.gets(t, "load 1")
			if v, n := stored(s, "k"), g.loads.Load(); v != "load 1" || n != 1 {
				t.Errorf("%d loads, and Redis has %q", n, v)
			}
		})
	}
}

// A value that is of no use when its load begins makes way at once; the load may fail.
func TestValueThatWasOver(t *testing.T) {
	s := redistest.Start(t)
	o := tiered.RedisOptions{Timeout: patient}
	a, b := newProcess(t, s, o, briefly), newProcess(t, s, o, briefly)
	set(t, a, "k", "old")
	waitFor(t, func() bool {
		e, err := a.Lookup(t.Context(), "k")
		return errors.Is(err, tiered.ErrNotFound) && !e.Found
	})
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
}

// What a lease was taken beside may be written while the load goes on: that stays.
func TestValueIsWrittenBeforeItIsOver(t *testing.T) {
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
	waitFor(t, func() bool { return calls(s, "eval") > before+2 }) // the lease is extended, and would move
	close(g.open)
	holder.gets(t, "load 1")
	if v := stored(s, "k"); v != "written" {
		t.Errorf("Redis has %q", v)
	}
	waitFor(t, func() bool { return isFree(s, "k") })
}

// Nobody needs a value to stay whose loads wait until it is gone.
func TestValueWithoutLoadsBeside(t *testing.T) {
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{}, tiered.Policy{TTL: time.Second, Jitter: -1})
	set(t, c, "k", "v")
	if p := s.Do("PTTL", "tc:test:k").(int64); p > 1000 {
		t.Errorf("it is there for %d ms", p)
	}
}

// mishap is a go-redis hook that has something happen to the reply of the script that moves leases, once.
type mishap struct {
	redis.Hook
	happens atomic.Pointer[func(redis.Cmder) error]
}

func (m *mishap) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mishap) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m *mishap) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); cmd.Name() == "eval" && strings.Contains(fmt.Sprint(args[1]), "PTTL") {
			if happens := m.happens.Swap(nil); happens != nil {
				return (*happens)(cmd)
			}
		}
		return err
	}
}

// A lease that has moved into its value's place, though nobody knows, is released with the others.
func TestLeaseMovesUnknown(t *testing.T) {
	s := redistest.Start(t)
	var m mishap
	lost := func(cmd redis.Cmder) error {
		cmd.SetErr(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
	client := s.Client(t)
	client.AddHook(&m)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, tiered.RedisOptions{}), Policy: briefly})
	set(t, c, "k", "old")
	waitFor(t, func() bool {
		_, err := c.Lookup(t.Context(), "k")
		return errors.Is(err, tiered.ErrNotFound) && s.Do("PTTL", "tc:test:k").(int64) < 5000
	})
	m.happens.Store(&lost)
	gets(t, c, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		if m.happens.Load() != nil || !leased(s, "k") {
			t.Error("no lease has moved")
		}
		s.Do("PERSIST", "tc:test:k") // it doesn't run out
		return "new", nil
	}, "new")
	waitFor(t, func() bool { return !leased(s, "k") && isFree(s, "k") })
}
