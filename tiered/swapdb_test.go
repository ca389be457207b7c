package tiered_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// trackingModes are those in which Redis itself reports changes.
var trackingModes = map[string]tiered.Invalidation{"tracking": tiered.Tracking, "keys": tiered.TrackingKeys}

// inEach runs the test in each of the modes at the same time, with a server of its own.
func inEach(t *testing.T, modes map[string]tiered.Invalidation, test func(t *testing.T, s *redistest.Server, how tiered.Invalidation)) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			test(t, redistest.Start(t), how)
		})
	}
}

// Redis reports nothing of a SWAPDB: the canaries notice it.
func TestSwappedDatabases(t *testing.T) { inEach(t, trackingModes, swapDatabases) }

func swapDatabases(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	for _, db := range []int{0, 3} {
		var log lines
		o := brisk(how, &log)
		in := func(db int) *tiered.Cache[string] {
			client := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: db})
			t.Cleanup(func() { _ = client.Close() })
			return newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, o), Policy: longLived})
		}
		if err := in(1).Set(t.Context(), "k", "other", "tag"); err != nil { // of which c isn't told
			t.Fatal(err)
		}
		c := in(db)
		if err := c.Set(t.Context(), "k", "old", "tag"); err != nil {
			t.Fatal(err)
		}
		for n, want := range []string{"other", "old", "other", ""} {
			// Of two swaps between two canaries they notice nothing. There are two processes.
			for before := calls(s, "eval"); calls(s, "eval") < before+6; {
				keep(t, c, "k", map[string]string{"other": "old", "old": "other", "": "other"}[want])
			}
			if n == 3 {
				s.Do("SWAPDB", db, 7) // which is empty
			} else {
				s.Do("SWAPDB", db, 1)
			}
			late := time.Now().Add(o.Heartbeat + o.Timeout + time.Second) // of a slow machine
			for v := "?"; v != want; v, _ = c.Get(t.Context(), "k") {
				if time.Now().After(late) {
					t.Fatalf("database %d: it still has %q, want %q: %+v", db, v, want, c.Stats())
				}
			}
		}
		if n := c.Stats().Unverified; n > 0 {
			t.Errorf("%d were served though Redis answers", n)
		}
		s.Do("FLUSHALL")
	}
}

// Data is often brought in like this: a flush of another database, of which Redis tells, and then a swap.
func TestSwappedAfterAFlush(t *testing.T) { inEach(t, trackingModes, swapAfterAFlush) }

func swapAfterAFlush(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	var log lines
	o := brisk(how, &log)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, s.Client(t), o), Policy: longLived})
	if err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	keep(t, c, "k", "old")
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: 1})
	defer client.Close()
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for n := c.Stats().RemoteHits; c.Stats().RemoteHits == n; { // it is read again
		if v, err := c.Get(t.Context(), "k"); v != "old" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
	}
	client.Set(t.Context(), "tc:test:k", `"new"`, 0)
	s.Do("SWAPDB", 0, 1)
	follows(t, c, "k", "new")
}

// While nothing happens, nothing is read again.
func TestCanariesDisturbNothing(t *testing.T) { inEach(t, trackingModes, sendCanaries) }

func sendCanaries(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	var log lines
	o := brisk(how, &log)
	r := openedRedis(t, s.Client(t), o)
	c := newCache(t, tiered.Options[string]{Redis: r, Policy: longLived})
	if err := c.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	keep(t, c, "k", "v")
	for before := calls(s, "ping"); calls(s, "ping") < before+10; {
		if v, err := c.Get(t.Context(), "k"); v != "v" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
	}
	if st := c.Stats(); st.RemoteHits > 2 || st.Bypassed > 0 || log.String() != "" {
		t.Errorf("%+v\n%v", st, &log)
	}
}

// go-redis sends a canary once more if it had no answer. Databases may have been swapped meanwhile, so that each has taken the canary.
func TestSwappedBeforeARepeatedCanary(t *testing.T) { inEach(t, trackingModes, swapBeforeARepetition) }

func swapBeforeARepetition(t *testing.T, s *redistest.Server, how tiered.Invalidation) {
	var log lines
	client := s.Client(t)
	repeated := &repetition{between: func() { s.Do("SWAPDB", 0, 1) }, done: make(chan struct{})}
	client.AddHook(repeated)
	c := newCache(t, tiered.Options[string]{Redis: openedRedis(t, client, brisk(how, &log)), Policy: longLived})
	if err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	keep(t, c, "k", "old")
	repeated.armed.Store(true)
	<-repeated.done
	follows(t, c, "k", "")
}

// repetition sends one canary twice.
type repetition struct {
	armed   atomic.Bool
	between func()
	done    chan struct{}
}

func (r *repetition) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *repetition) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *repetition) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.Contains(cmd.String(), "tc!") || cmd.Name() != "eval" || !r.armed.CompareAndSwap(true, false) {
			return next(ctx, cmd)
		}
		defer close(r.done)
		if err := next(ctx, redis.NewCmd(ctx, cmd.Args()...)); err != nil {
			return err
		}
		r.between()
		return next(ctx, cmd)
	}
}
