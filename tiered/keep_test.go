package tiered_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// isLocal reports whether the local tier serves the value. It doesn't change what the tier has.
func isLocal(t testing.TB, c *tiered.Cache[string], key, value string) bool {
	t.Helper()
	k, err := c.Inspect(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return k.Local != nil && k.Local.Value == value && k.Local.Problem == ""
}

// What a process has loaded or written stays in its local tier, though Redis reports the store to it like any other change.
func TestOwnValuesStayLocal(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{Timeout: 5 * time.Second}, longLived) // nothing may be late
	heardOf(t, s, c)                                                                // what is stored before Redis reports changes isn't kept
	ctx := t.Context()
	if err := c.Set(ctx, "set", "v", "tag"); err != nil {
		t.Fatal(err)
	}
	many := make(map[string]string)
	for i := range 500 {
		many["many"+strconv.Itoa(i)] = "v"
	}
	if err := c.SetMany(ctx, many); err != nil {
		t.Fatal(err)
	}
	if v, err := c.GetOrLoad(ctx, "loaded", value("v")); err != nil || v != "v" {
		t.Fatal(v, err)
	}
	if v, err := c.Refresh(ctx, "set", value("w")); err != nil || v != "w" {
		t.Fatal(v, err)
	}
	want := map[string]string{"set": "w", "loaded": "v"}
	for key, v := range many {
		want[key] = v
	}
	for key, v := range want {
		observe.Until(t, key+" to be local", func() bool { return isLocal(t, c, key, v) })
	}
	before := calls(s, "get") + calls(s, "mget")
	for key, v := range want {
		if e, err := c.Lookup(ctx, key); err != nil || e.Value != v || e.Tier != tiered.Local {
			t.Fatalf("%s: %+v, %v", key, e, err)
		}
	}
	if n := calls(s, "get") + calls(s, "mget") - before; n > 0 {
		t.Errorf("%d reads of Redis", n)
	}
	s.Kill() // and what a process has loaded survives Redis
	for key, v := range want {
		if got, err := c.GetOrLoad(ctx, key, func(context.Context, *tiered.Entry[string]) (string, error) { return "", fmt.Errorf("loaded %s", key) }); err != nil || got != v {
			t.Fatalf("%s: %q, %v", key, got, err)
		}
	}
}

// A write of another program in the turn of Redis's event loop that stores this process's value is reported once with it, and wins.
func TestForeignWriteInTheSameTurn(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := newProcess(t, s, tiered.RedisOptions{Timeout: time.Second}, longLived)
	other := s.Client(t)

	ctx := t.Context()
	for round := range 30 {
		key := "k" + strconv.Itoa(round%5)
		own, foreign := fmt.Sprint("own", round), fmt.Sprint("foreign", round)
		s.Do("CLIENT", "PAUSE", "3", "WRITE") // so that both are executed in one turn
		var both sync.WaitGroup
		both.Go(func() {
			if err := c.Set(ctx, key, own); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			if err := other.Set(ctx, "tc:test:"+key, strconv.Quote(foreign), 0).Err(); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		want := own
		if v, _ := s.Do("GET", "tc:test:"+key).(string); v == strconv.Quote(foreign) {
			want = foreign
		}
		waitFor(t, func() bool { return isLocal(t, c, key, want) || readsLocal(t, c, key, want) })
		s.Do("PING")
		if e, err := c.Lookup(ctx, key); err != nil || e.Value != want {
			t.Fatalf("round %d: %+v, %v; want %q", round, e, err, want)
		}
	}
}

// readsLocal reads the key into the local tier, and reports whether it has the value.
func readsLocal(t testing.TB, c *tiered.Cache[string], key, value string) bool {
	t.Helper()
	e, err := c.Lookup(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return e.Value == value && e.Tier == tiered.Local
}
