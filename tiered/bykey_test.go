package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// With TrackingKeys the loads of a key, and its changes, are no business of processes that neither have the key nor wait for it.
func TestOthersHearNothingByKey(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var e ear
	o := tiered.RedisOptions{Invalidation: tiered.TrackingKeys, Heartbeat: time.Hour, Timeout: 5 * time.Second}
	idle := newCache(t, tiered.Options[string]{Redis: openedRedis(t, e.client(t, s.Addr()), o), Policy: longLived})
	busy := newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.TrackingKeys}, longLived)
	set(t, busy, "shared", "old")
	keep(t, idle, "shared", "old")
	before := e.received.Load()
	for i := range 500 {
		key := fmt.Sprint("k", i)
		if v, err := busy.GetOrLoad(t.Context(), key, value("v")); err != nil || v != "v" {
			t.Fatal(v, err)
		}
		if err := errors.Join(busy.Set(t.Context(), key, "w"), busy.Delete(t.Context(), key)); err != nil {
			t.Fatal(err)
		}
	}
	set(t, busy, "shared", "new")
	waitFor(t, func() bool { return !isLocal(t, idle, "shared", "old") }) // it reads nothing meanwhile
	if n := e.received.Load() - before; n == 0 || n > 300 {
		t.Errorf("%d bytes arrived, want one report", n)
	}
}

// A process that waits for another's load hears of its end, and of nothing before.
func TestWaiterIsWokenByKey(t *testing.T) {
	t.Parallel()
	s, o := redistest.Start(t), tiered.RedisOptions{Invalidation: tiered.TrackingKeys}
	a := newProcess(t, s, o, tiered.Policy{})
	waits := make(chan struct{}, 1)
	b := newCache(t, tiered.Options[string]{Redis: newRedis(t, s, o), Trace: &tiered.Trace{
		WaitStart: func(ctx context.Context, w tiered.WaitInfo) context.Context {
			if w.Process {
				waits <- struct{}{}
			}
			return ctx
		},
	}})
	for i := range 20 {
		key, open, running := fmt.Sprint("k", i), make(chan struct{}), make(chan struct{})
		loaded := make(chan error, 1)
		go func() {
			loaded <- second(a.GetOrLoad(t.Context(), key, func(context.Context, *tiered.Entry[string]) (string, error) {
				close(running)
				<-open
				return "v", nil
			}))
		}()
		<-running
		waited := make(chan error, 1)
		go func() {
			v, err := b.GetOrLoad(t.Context(), key, func(context.Context, *tiered.Entry[string]) (string, error) {
				return "", errors.New("loaded twice")
			})
			if err == nil && v != "v" {
				err = fmt.Errorf("it got %q", v)
			}
			waited <- err
		}()
		<-waits
		close(open)
		if err := errors.Join(<-loaded, <-waited); err != nil {
			t.Fatal(err)
		}
	}
}

// Redis keeps a table of the keys that it was asked about, and forgets some when it is full. It reports these as changed.
func TestFullTableOfKeys(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("CONFIG", "SET", "tracking-table-max-keys", "10")
	c := newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.TrackingKeys}, longLived)
	for i := range 100 {
		key := fmt.Sprint("k", i)
		set(t, c, key, "old", "tag")
		keep(t, c, key, "old")
	}
	for i := range 100 {
		key := fmt.Sprint("k", i)
		s.Do("SET", "tc:test:"+key, `"new"`)
		follows(t, c, key, "new")
	}
	if n := s.Number("stats", "tracking_total_keys"); n < 1 {
		t.Errorf("%d keys are tracked", n)
	}
}

// What another program writes isn't confirmed. It is served from memory for Heartbeat + Timeout at most.
func TestForeignValueByKey(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, brisk(tiered.TrackingKeys, new(lines)), longLived)
	for i := range 3 {
		want := fmt.Sprint("v", i)
		s.Do("SET", "tc:test:k", fmt.Sprintf("%q", want))
		follows(t, c, "k", want)
	}
	s.Do("DEL", "tc:test:k")
	follows(t, c, "k", "")
}
