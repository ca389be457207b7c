package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// model is a source of numbered versions, and what each process has invalidated of it.
type model struct {
	processes []*faultyProcess
	sets      bool // a Set that failed may still arrive elsewhere: only the first process sets, and only it is checked
	source    [modelKeys]atomic.Int64
	floor     [2][modelKeys]atomic.Int64 // the last version that the process's own writes returned for
	writing   [modelKeys]sync.Mutex
	queued    atomic.Int64
}

const modelKeys = 4

func modelKey(k int) string { return fmt.Sprint("k", k) }

func (m *model) load(k int) tiered.Loader[string] {
	return func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		e.Tags = []string{"tag of " + e.Key}
		return fmt.Sprint(m.source[k].Load()), nil
	}
}

// write changes the source and then the cache. Writes of a key come one after the other.
func (m *model) write(ctx context.Context, p int) error {
	k := rand.IntN(modelKeys)
	m.writing[k].Lock()
	defer m.writing[k].Unlock()
	n := m.source[k].Add(1)
	c, key := m.processes[p], modelKey(k)
	var err error
	switch op := rand.IntN(20); {
	case op < 6 && m.sets && p == 0:
		err = c.Set(ctx, key, fmt.Sprint(n), "tag of "+key)
	case op < 8:
		err = c.Expire(ctx, key)
	case op < 11:
		err = c.InvalidateTags(ctx, "tag of "+key)
	case op == 11:
		err = c.Clear(ctx)
	case op < 14:
		err = c.ExpireTags(ctx, "tag of "+key)
	case op == 14:
		err = c.ExpireAll(ctx)
	default:
		err = c.Delete(ctx, key)
	}
	if errors.Is(err, tiered.ErrQueued) {
		m.queued.Add(1)
	} else if err != nil {
		return err
	}
	m.floor[p][k].Store(n)
	return nil
}

func (m *model) read(ctx context.Context, p int) error {
	k := rand.IntN(modelKeys)
	least := m.floor[p][k].Load()
	c, key := m.processes[p], modelKey(k)
	var v string
	var err error
	switch rand.IntN(5) {
	case 0:
		v, err = c.Get(ctx, key)
	case 1:
		var got map[string]string
		got, err = c.GetMany(ctx, key, modelKey((k+1)%modelKeys))
		if v = got[key]; err != nil && ctx.Err() == nil {
			err = nil // Redis can't be read; what is there counts
		}
	case 2:
		v, err = c.Refresh(ctx, key, m.load(k))
	default:
		v, err = c.GetOrLoad(ctx, key, m.load(k))
	}
	if err == tiered.ErrNotFound || err == nil && v == "" {
		return nil
	}
	var n int64
	if _, scanned := fmt.Sscan(v, &n); err != nil || scanned != nil || n < least && (p == 0 || !m.sets) {
		return fmt.Errorf("process %d: %s is %q, %v, after its %d", p, key, v, err, least)
	}
	return nil
}

// act lets both processes write and read until ctx ends.
func (m *model) act(ctx context.Context, t *testing.T) {
	var wg sync.WaitGroup
	for p := range m.processes {
		for _, act := range []func(context.Context, int) error{m.write, m.read, m.read} {
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := act(t.Context(), p); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(rand.N(2 * time.Millisecond))
				}
			})
		}
	}
	wg.Wait()
}

// faults breaks and heals the processes' connections by chance. In the end one process is cut off for a moment, so that
// its last writes are queued.
func (m *model) faults() {
	for range rand.IntN(4) {
		p := m.processes[rand.IntN(2)].proxy
		switch rand.IntN(4) {
		case 0:
			p.Refuse(true)
			p.Cut()
		case 1:
			p.StallReplies(true)
		default:
			p.StallReplies(false)
			p.Refuse(false)
		}
		time.Sleep(rand.N(200 * time.Millisecond))
	}
	m.heal()
	time.Sleep(rand.N(300 * time.Millisecond))
	m.processes[rand.IntN(2)].cutOff()
	time.Sleep(50 * time.Millisecond)
}

func (m *model) heal() {
	for _, o := range m.processes {
		o.proxy.StallReplies(false)
		o.proxy.Refuse(false)
	}
}

// converges checks that both processes soon have the source's last versions.
func (m *model) converges(t *testing.T) {
	t.Helper()
	for _, o := range m.processes {
		o.replays(t)
	}
	for p, o := range m.processes {
		for k := range modelKeys {
			waitFor(t, func() bool {
				v, err := o.GetOrLoad(t.Context(), modelKey(k), m.load(k))
				if err != nil {
					t.Fatalf("process %d: %s is %q, %v; want %d", p, modelKey(k), v, err, m.source[k].Load())
				}
				return v == fmt.Sprint(m.source[k].Load())
			})
		}
	}
}

// Whatever fails when: no process serves what it has invalidated itself, be that only queued, and when Redis is back all
// have the source's last version.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	for mode, how := range listeningModes {
		for name, sets := range map[string]bool{"with Sets": true, "without": false} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				o := lively(how)
				o.Timeout = 100 * time.Millisecond
				s := redistest.Start(t)
				m := &model{sets: sets, processes: []*faultyProcess{newFaultyProcess(t, s, o), newFaultyProcess(t, s, o)}}
				for range 5 {
					ctx, stop := context.WithCancel(t.Context())
					done := make(chan struct{})
					go func() { defer close(done); m.act(ctx, t) }()
					m.faults()
					stop()
					<-done
					m.heal()
					m.converges(t)
				}
				t.Logf("%d queued, %d and %d replayed", m.queued.Load(), m.processes[0].Stats().Replayed, m.processes[1].Stats().Replayed)
			})
		}
	}
}
