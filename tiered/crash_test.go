package tiered_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// inChild runs the test again in a process of its own, since it may end the process. It reports whether this is the child.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv("REVIEW_CHILD") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "REVIEW_CHILD="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(string(out), "\n")
		t.Errorf("the process ended: %v\n%s", err, strings.Join(lines[:min(len(lines), 25)], "\n"))
	}
	return false
}

// A batch has finished its first flight when the Cost of the second panics, which is a miss: the process continues.
func TestCostPanicInABatch(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		return
	}
	s := redistest.Start(t)
	r, err := tiered.NewRedis(s.Client(t), tiered.RedisOptions{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	type user struct{ Size int64 }
	c := newCache(t, tiered.Options[*user]{Redis: r, Codec: codec.JSON, MaxCost: 100_000, Cost: func(u *user) int64 { return u.Size }})
	s.Do("SET", "tc:test:a", `{"Size":1}`)
	s.Do("SET", "tc:test:b", `null`) // another program's
	got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a", "b"}, func(k string) string { return k },
		func(_ context.Context, ids []string) (map[string]*user, error) {
			return map[string]*user{ids[0]: {Size: 2}}, nil
		})
	if err != nil || len(got) != 2 || got["a"].Size != 1 || got["b"].Size != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

// Sets with new tags and invalidations at the same time, in a cache without Redis.
func TestInProcessTags(t *testing.T) {
	t.Parallel()
	if !inChild(t) {
		return
	}
	c := newCache(t, tiered.Options[int]{})
	tags := make([]string, 128)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				mine := append([]string(nil), tags...)
				for i := range mine {
					mine[i] = strings.Repeat("x", g+1) + string(rune(n)) + string(rune(i+1000))
				}
				if err := c.Set(ctx, "k", n, mine...); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := c.InvalidateTags(ctx, "other"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
