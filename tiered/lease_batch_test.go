package tiered_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// commandLog is a go-redis hook that records the batches of commands, except those of the invalidation stream: "get 100".
type commandLog struct {
	mu   sync.Mutex
	made []string
}

func (n *commandLog) note(name string, count int) {
	if slices.Contains([]string{"time", "hello", "client"}, name) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made = append(n.made, fmt.Sprint(name, " ", count))
}

func (n *commandLog) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	made := n.made
	n.made = nil
	return made
}

func (n *commandLog) DialHook(next redis.DialHook) redis.DialHook { return next }
func (n *commandLog) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		n.note(cmd.Name(), 1)
		return next(ctx, cmd)
	}
}
func (n *commandLog) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		n.note(cmds[0].Name(), len(cmds))
		return next(ctx, cmds)
	}
}

// A batch leases what it is to load, loads it while others load the rest, and waits for them.
func TestBatchLeases(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	var made commandLog
	client.AddHook(&made)
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Invalidation: tiered.None, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := newCache(t, tiered.Options[string]{Redis: r})
	b := newProcess(t, s, tiered.RedisOptions{Invalidation: tiered.None}, tiered.Policy{})
	if err := a.Set(t.Context(), "to know the cache's epoch", ""); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	theirs := g.begin(t, b, idKey(0))
	ids := make([]int, 100)
	for i := range ids {
		ids[i] = 2 * i
	}
	made.take()
	var src source
	loaded := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		got, err := tiered.GetOrLoadMany(t.Context(), a, ids, idKey, func(ctx context.Context, ids []int) (map[int]string, error) {
			defer close(loaded)
			if slices.Contains(ids, 0) {
				t.Error("the batch loads what another process loads")
			}
			return src.load(ctx, ids)
		})
		if err != nil || len(got) != 100 || got[0] != "load 1" || got[198] != "v198" {
			t.Errorf("%d values, %q, %v", len(got), got[0], err)
		}
	})
	<-loaded
	// What it loaded can be had before the rest is there.
	waitFor(t, func() bool { v, _ := b.Get(t.Context(), idKey(198)); return v == "v198" })
	close(g.open)
	theirs.gets(t, "load 1")
	wg.Wait()
	got := slices.DeleteFunc(made.take(), func(batch string) bool { return batch == "get 1" }) // of the one that waits
	if want := []string{"mget 1", "set 99", "eval 99"}; !slices.Equal(got, want) {
		t.Errorf("round trips %q; want %q", got, want)
	}
}

// Batches of two processes share what both ask for: each id is loaded once, and neither waits for ever.
func TestOverlappingBatches(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			_, a, b := twoProcesses(t, mode)
			var mu sync.Mutex
			loads := make(map[int]int)
			var loading sync.WaitGroup // both load at the same time
			loading.Add(2)
			load := func() func(_ context.Context, ids []int) (map[int]string, error) {
				var once sync.Once
				return func(_ context.Context, ids []int) (map[int]string, error) {
					once.Do(func() { loading.Done(); loading.Wait() })
					values := make(map[int]string)
					mu.Lock()
					defer mu.Unlock()
					for _, id := range ids {
						loads[id]++
						values[id] = fmt.Sprint("v", id)
					}
					return values, nil
				}
			}
			var wg sync.WaitGroup
			run := func(c *tiered.Cache[string], from, to int, backwards bool) {
				ids := make([]int, 0, to-from)
				for id := from; id < to; id++ {
					ids = append(ids, id)
				}
				if backwards {
					slices.Reverse(ids)
				}
				wg.Go(func() {
					got, err := tiered.GetOrLoadMany(t.Context(), c, ids, idKey, load())
					if err != nil || len(got) != len(ids) || got[50] != "v50" {
						t.Errorf("%d values, %q, %v", len(got), got[50], err)
					}
				})
			}
			run(a, 0, 60, false)
			run(b, 40, 100, true)
			wg.Wait()
			for id := range 100 {
				if loads[id] != 1 {
					t.Errorf("id %d was loaded %d times", id, loads[id])
				}
			}
		})
	}
}

// What a batch's loader leaves out, or fails to load, leaves no lease behind.
func TestBatchReleasesItsLeases(t *testing.T) {
	t.Parallel()
	for name, load := range map[string]func(context.Context, []int) (map[int]string, error){
		"nothing found": func(context.Context, []int) (map[int]string, error) { return nil, nil },
		"an error":      func(context.Context, []int) (map[int]string, error) { return nil, context.Canceled },
		"a panic":       func(context.Context, []int) (map[int]string, error) { panic("broken") },
	} {
		t.Run(name, func(t *testing.T) {
			s, a, _ := twoProcesses(t, tiered.Tracking)
			func() {
				defer func() { _ = recover() }()
				_, _ = tiered.GetOrLoadMany(t.Context(), a, []int{1, 2, 3}, idKey, load)
			}()
			waitFor(t, func() bool {
				return s.Do("EXISTS", "tc:test:"+idKey(1), "tc:test:"+idKey(2), "tc:test:"+idKey(3)) == int64(0)
			})
		})
	}
}
