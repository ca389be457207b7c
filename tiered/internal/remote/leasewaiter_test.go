package remote_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A waiter of a server that reports changes is ended by one. It polls a server that doesn't, and a lease that should have ended.
func TestLeaseWaiter(t *testing.T) {
	never := func(string) bool { return false }
	for name, c := range map[string]struct {
		noEvents bool
		ttl      time.Duration
		wakes    bool
		least    time.Duration // how long the wait takes
		most     time.Duration
		due      bool // without a reported change
	}{
		"a change":              {false, time.Minute, true, 10 * time.Second, 10 * time.Second, false},
		"a server that is mute": {true, time.Minute, false, 0, 5 * time.Millisecond, true},
		"a lease that ends":     {false, 3 * time.Second, false, 3 * time.Second, 4 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w remote.LeaseWaiter[string]
				wake := w.Wake()
				l := wire.NewLease(time.Minute)
				l.TTL = c.ttl
				if w.All(nil) || w.All([]string{"k"}) {
					t.Error("there is a lease already")
				}
				if !w.Add("k", l.Bytes(), redisconn.Reply{Validity: coherence.Always, Feed: &coherence.Feed{NoEvents: c.noEvents}}) {
					t.Fatal("the lease is over")
				}
				if !w.All([]string{"k"}) || w.All([]string{"k", "other"}) || !w.Due("other", false) || !w.Due("k", true) || w.Due("k", false) {
					t.Error("before the wait")
				}
				if c.wakes {
					go func() { time.Sleep(10 * time.Second); wake <- struct{}{} }()
				}
				began := time.Now()
				w.Wait(t.Context(), never)
				if d := time.Since(began); d < c.least || d > c.most {
					t.Errorf("it waited for %v", d)
				}
				if w.Due("k", false) != c.due {
					t.Errorf("due without a change: %v", !c.due)
				}
			})
		})
	}
}

// A lease that has outlasted its TTL isn't waited for. A finished waiter is forgotten.
func TestLeaseWaiterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w remote.LeaseWaiter[string]
		w.Wake()
		l := wire.NewLease(time.Second)
		reply := redisconn.Reply{Validity: coherence.Always, Feed: new(coherence.Feed)}
		w.Add("k", l.Bytes(), reply)
		time.Sleep(3 * time.Second)
		if w.Add("k", l.Bytes(), reply) {
			t.Error("it waits for a lease that should have ended two seconds ago")
		}
		if !w.Add("k", wire.NewLease(time.Second).Bytes(), reply) {
			t.Error("it doesn't wait for another lease")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.Wait(ctx, func(string) bool { return true })
		if w.All([]string{"k"}) {
			t.Error("it waits for what has finished")
		}
	})
}
