package tiered_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var impatient = tiered.Policy{TTL: time.Minute, StaleIfError: time.Hour, SoftTimeout: time.Second, Jitter: -1}

// waited is how long a call took that gets the value.
func waited(t *testing.T, c *tiered.Cache[string], load tiered.Loader[string], want string) time.Duration {
	t.Helper()
	began := time.Now()
	gets(t, c, "k", load, want)
	return time.Since(began)
}

func TestSoftTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: impatient})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		g := newGate()
		first := begin(t, c, "k", g.load)
		time.Sleep(600 * time.Millisecond)
		if d := waited(t, c, noLoad[string](t), "old"); d != 400*time.Millisecond {
			t.Errorf("who joined later waited %v", d)
		}
		synctest.Wait()
		<-first.done
		if first.value != "old" || first.err != nil {
			t.Errorf("the first got %q, %v", first.value, first.err)
		}
		if d := waited(t, c, noLoad[string](t), "old"); d != 0 {
			t.Errorf("who joined when it was overdue waited %v", d)
		}
		patient := begin(t, c.With(func(p *tiered.Policy) { p.SoftTimeout = 0 }), "k", noLoad[string](t))
		synctest.Wait()
		close(g.open)
		<-patient.done
		if patient.value != "load 1" || patient.err != nil {
			t.Errorf("who waits got %q, %v", patient.value, patient.err)
		}
		if d := waited(t, c, noLoad[string](t), "load 1"); d != 0 {
			t.Errorf("a hit took %v", d)
		}
	})
}

// Without a value that may be served, SoftTimeout changes nothing.
func TestSoftTimeoutWithoutAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: impatient})
		slow := func(context.Context, *tiered.Entry[string]) (string, error) {
			time.Sleep(10 * time.Second)
			return "new", nil
		}
		if d := waited(t, c, slow, "new"); d != 10*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// A caller waits no longer for a Refresh than for another load, and gets what there is if that fails.
func TestSoftTimeoutDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, tiered.Options[string]{Policy: impatient})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		hang := func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		refresh := begun(func() (string, error) { return c.Refresh(t.Context(), "k", hang) })
		synctest.Wait()
		if d := waited(t, c, noLoad[string](t), "old"); d != time.Second {
			t.Errorf("it took %v", d)
		}
		<-refresh.done
		if refresh.err == nil || refresh.value != "" {
			t.Errorf("Refresh got %q, %v", refresh.value, refresh.err)
		}
	})
}

// The load goes on for LoadTimeout, and no longer: then who waits for it gets the stale value too.
func TestHungLoaderAndFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := impatient
		p.SoftTimeout, p.LoadTimeout = 0, 10*time.Second
		c := newCache(t, tiered.Options[string]{Policy: p})
		set(t, c, "k", "old")
		time.Sleep(time.Minute)
		release := make(chan struct{})
		var loads atomic.Int32
		hangs := func(context.Context, *tiered.Entry[string]) (string, error) {
			loads.Add(1)
			<-release
			return "late", nil
		}
		if d := waited(t, c, hangs, "old"); d != 10*time.Second {
			t.Errorf("it took %v", d)
		}
		if d := waited(t, c, hangs, "old"); d != 0 || loads.Load() != 1 {
			t.Errorf("within RetryAfter: %v, %d loads", d, loads.Load())
		}
		close(release)
		synctest.Wait()
		if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("what came late is kept: %q, %v", v, err)
		}
	})
}

// Another process's load is waited for no longer than one's own.
func TestSoftTimeoutBetweenProcesses(t *testing.T) {
	t.Parallel()
	for mode, how := range modes {
		t.Run(mode, func(t *testing.T) {
			s := redistest.Start(t)
			p := brief(tiered.Policy{StaleIfError: time.Hour, SoftTimeout: 20 * time.Millisecond})
			o := tiered.RedisOptions{Invalidation: how}
			a, b := newProcess(t, s, o, p), newProcess(t, s, o, p)
			set(t, a, "k", "old")
			isStale(t, a, "k")
			settled(t, how, a, b)
			kept := func(_ context.Context, e *tiered.Entry[string]) { e.Policy.TTL = time.Hour }
			load, running, open := gated("new")
			first := begin(t, a, "k", func(ctx context.Context, e *tiered.Entry[string]) (string, error) {
				kept(ctx, e)
				return load(ctx, e)
			})
			<-running
			for range 5 {
				gets(t, b, "k", noLoad[string](t), "old")
				s.Do("SET", "tc:test!lease:other", "x") // whoever waits looks again
			}
			first.gets(t, "old")
			close(open)
			waitFor(t, func() bool {
				v, err := b.GetOrLoad(t.Context(), "k", noLoad[string](t))
				return v == "new" && err == nil
			})
		})
	}
}
