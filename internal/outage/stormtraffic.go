//go:build !windows

package outage

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/tiered"
)

// stormProcess is a process in a storm: its client, its cache, its calls and its loads.
type stormProcess struct {
	storm  *storm
	cache  *tiered.Cache[Value]
	keys   []string // that it uses: its own first
	source fragileSource
	wire   commandHook
	end    func()
	rng    *rand.Rand
	zipf   *rand.Zipf

	mu    sync.Mutex
	loads []load
}

// newProcess returns a process with an empty local tier.
func (s *storm) newProcess(i int) *stormProcess {
	s.t.Helper()
	rng := rand.New(rand.NewPCG(s.Seed, uint64(i)+10))
	p := &stormProcess{
		storm: s, keys: append(s.ownKeys(i), s.sharedKeys()...),
		source: fragileSource{capacity: s.MaxLoads, serviceTime: 10 * time.Millisecond},
		rng:    rng, zipf: rand.NewZipf(rng, 1.1, 1, uint64(s.Keys)-1),
	}
	client := redis.NewClient(&redis.Options{Addr: s.server.Addr(), ContextTimeoutEnabled: true})
	client.AddHook(&p.wire)
	quiet := slog.New(slog.DiscardHandler)
	tier, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: prefix, Invalidation: s.Invalidation, Timeout: s.Timeout, Logger: quiet})
	if err != nil {
		s.t.Fatal(err)
	}
	p.cache, err = tiered.New(tiered.Options[Value]{
		Name: stormName, Redis: tier, MaxCost: int64(4 * len(p.keys)), MaxLoads: s.MaxLoads, Logger: quiet,
		Policy: tiered.Policy{TTL: ages, LoadTimeout: patience},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	p.end = func() {
		p.cache.Close()
		tier.Close()
		client.Close()
	}
	return p
}

// awaitLocal reads all keys of the process until the local tier has them all.
func (p *stormProcess) awaitLocal(t testing.TB, when string) {
	t.Helper()
	observe.Until(t, "local hits "+when, func() bool {
		before := p.cache.Stats()
		var all sync.WaitGroup
		for part := range slices.Chunk(p.keys, len(p.keys)/p.storm.MaxLoads+1) {
			all.Go(func() {
				for _, key := range part {
					if _, err := p.cache.GetOrLoad(t.Context(), key, p.load); err != nil {
						t.Errorf("%s: %v", when, err)
					}
				}
			})
		}
		all.Wait()
		return reads(p.cache.Stats()) == reads(before)
	})
}

// reads returns how many keys the cache has asked Redis for.
func reads(s tiered.Stats) uint64 { return s.RemoteHits + s.Misses }

// call makes calls at a constant rate until ctx ends, and waits for them.
func (p *stormProcess) call(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	started := clock{time.Now()}
	for made := 0; ctx.Err() == nil; pause(ctx, batchTime) {
		for ; made < int(started.now().Seconds()*float64(p.storm.Rate)); made++ {
			key := p.next()
			bin := p.storm.bin(p.storm.clock.now())
			all.Go(func() { p.callOne(key, bin) })
		}
	}
}

// next returns the key of the next call: one that all processes use, or one of the process's own, some of which are used far more often.
func (p *stormProcess) next() string {
	if p.rng.IntN(2) == 0 {
		return p.keys[p.storm.Keys+p.rng.IntN(p.storm.Keys)]
	}
	return p.keys[p.zipf.Uint64()]
}

func (p *stormProcess) callOne(key string, bin *stormBin) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	start := time.Now()
	v, err := p.cache.GetOrLoad(ctx, key, p.load)
	bin.note(time.Since(start), err == nil && v.Key == key)
	if err != nil {
		p.storm.t.Errorf("a call of %s: %v", key, err)
	}
}

func (p *stormProcess) load(_ context.Context, e *tiered.Entry[Value]) (Value, error) {
	l := load{key: e.Key, span: span{start: p.storm.clock.now()}}
	p.source.call()
	l.end = p.storm.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loads = append(p.loads, l)
	return Value{Key: e.Key}, nil
}

// commandHook counts the commands that a client has under way. A pipeline is one.
type commandHook struct {
	reads, others gauge
	mostKeys      atomic.Int64 // of a read
}

// gauge is a number and the largest that it was.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) add(n int64) { raise(&g.most, g.now.Add(n)) }

// raise sets most to n if that is more.
func raise(most *atomic.Int64, n int64) {
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
}

func (h *commandHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *commandHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		defer h.begin(cmd)()
		return next(ctx, cmd)
	}
}

func (h *commandHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.others.add(1)
		defer h.others.add(-1)
		return next(ctx, cmds)
	}
}

// reset forgets what the largest numbers were.
func (h *commandHook) reset() {
	h.reads.most.Store(0)
	h.others.most.Store(0)
	h.mostKeys.Store(0)
}

// begin counts a command until the returned function is called.
func (h *commandHook) begin(cmd redis.Cmder) (end func()) {
	counted := &h.others
	if name := cmd.Name(); name == "get" || name == "mget" {
		counted = &h.reads
		raise(&h.mostKeys, int64(len(cmd.Args())-1))
	}
	counted.add(1)
	return func() { counted.add(-1) }
}
