package tiered

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Nothing is left of reads that are over.
func TestLanesRetire(t *testing.T) {
	c := openOn(t, redistest.Start(t).Client(t), Policy{})
	c.remote.redis.timeout = 200 * time.Millisecond
	p := c.remote.redis.pipelineOf(c.remote.redis.nodes.only.breaker)
	lanes := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.lanes) + len(p.idle)
	}
	seen := 0
	for range 3 {
		_, _ = c.Get(t.Context(), "k")
		seen += lanes()
		eventually(t, "the lanes' end", func() bool { return lanes() == 0 })
	}
	if seen == 0 {
		t.Error("there was no lane")
	}
}

// Nor of a pipeline that was closed while one was under way.
func TestClosedPipelineRests(t *testing.T) {
	h, c, p := openStuck(t)
	var calls sync.WaitGroup
	calls.Go(func() { _, _ = c.Get(t.Context(), "stuck") })
	<-h.there
	p.close()
	close(h.release)
	calls.Wait()
	eventually(t, "the lane's end", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.lanes) == 0
	})
	p.sweep()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sweeps.set {
		t.Error("it is to be swept again")
	}
}

// What waits is read as soon as a lane is free, whatever becomes of those that go first.
func TestEveryFreeLaneIsUsed(t *testing.T) {
	h, c, p := openStuck(t)
	r := c.remote.redis
	var all []share
	for range maxLanes {
		all = append(all, r.read(t.Context(), h.key, nil, mono.Now()))
		<-h.there
	}
	long := make([]string, maxConvoy)
	for i := range long {
		long[i] = "k"
	}
	long[0] = h.key
	all = append(all, r.readAll(t.Context(), long, nil, mono.Now())[0])
	short := r.read(t.Context(), "k", nil, mono.Now())
	p.mu.Lock()
	for _, l := range p.lanes { // all take too long at the same time, which says nothing of the server
		l.sent, l.heeded = l.sent.Add(-r.timeout), true
	}
	p.mu.Unlock()
	p.sweep()
	<-h.there // the long one
	late := time.NewTimer(r.timeout / 2)
	defer late.Stop()
	if !short.arrives(t.Context(), late.C) || short.answer().err != nil {
		t.Error("what waits is read after what came before it, though there are free lanes")
	}
	close(h.release)
	for _, s := range all {
		s.await(t.Context())
	}
}

// stuck is a go-redis hook that holds the reads of a key back.
type stuck struct {
	redis.Hook
	key     string
	there   chan struct{} // has one element for each that is held
	release chan struct{}
}

// openStuck opens a cache whose reads of "stuck" are held back, with its pipeline.
func openStuck(t *testing.T) (*stuck, *Cache[string], *pipeline) {
	t.Helper()
	client := redistest.Start(t).Client(t)
	h := &stuck{key: "tc:test:stuck", there: make(chan struct{}, 10), release: make(chan struct{})}
	client.AddHook(h)
	c := openOn(t, client, Policy{})
	return h, c, c.remote.redis.pipelineOf(c.remote.redis.nodes.only.breaker)
}

func (h *stuck) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *stuck) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *stuck) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); (name == "get" || name == "mget") && cmd.Args()[1] == h.key {
			h.there <- struct{}{}
			<-h.release
		}
		return next(ctx, cmd)
	}
}

// Who waits for company goes alone if none comes, and the convoy before doesn't come back.
func TestCompanyThatNeverComes(t *testing.T) {
	h, c, p := openStuck(t)
	p.mu.Lock()
	p.crowd, p.takes = 100, 500*time.Millisecond
	p.mu.Unlock()
	var calls sync.WaitGroup
	calls.Go(func() { _, _ = c.Get(t.Context(), "stuck") })
	<-h.there
	other := make(chan struct{})
	calls.Go(func() {
		defer close(other)
		_, _ = c.Get(t.Context(), "other")
	})
	select {
	case <-other:
	case <-time.After(5 * time.Second):
		t.Error("a read waits for that of another key")
	}
	close(h.release)
	calls.Wait()
}
