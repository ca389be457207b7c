//go:build !windows

package outage

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A rolling deploy: processes of one release are replaced by those of the next, one after the other, while all are in use. The releases
// differ in the struct that they cache.

// DeployKeys is the number of keys that are read.
const DeployKeys = 200

const (
	deployProcesses = 4
	deployReaders   = 4 // of each process
)

type (
	formerUser struct {
		Key  string
		Name string
	}
	laterUser struct {
		Key      string
		FullName string `json:"full_name"`
	}
)

// service is a process of one release.
type service struct {
	release int // 0 or 1
	get     func(ctx context.Context, key string, loaded *bool) (right bool, err error)
	close   func()
}

// Deploy is the result of a rolling deploy.
type Deploy struct {
	Schemas bool
	Wrong   int // values of the other release's form that a call returned
	Failed  int // calls
	Calls   [2]int
	Loads   [2]int
	Curve   [2]Curve // by release; answered are the hits
}

// HitRatio returns the share of a release's calls that didn't load.
func (d *Deploy) HitRatio(release int) float64 {
	return 1 - float64(d.Loads[release])/float64(max(1, d.Calls[release]))
}

type deployRun struct {
	t       testing.TB
	clock   clock
	server  *redistest.Server
	schemas bool

	mu     sync.Mutex
	result Deploy
}

// RunDeploy runs a rolling deploy. Without schemas, both releases say that they have the same one.
func RunDeploy(t testing.TB, schemas bool, o Options) *Deploy {
	t.Helper()
	r := &deployRun{t: t, clock: clock{time.Now()}, server: redistest.Start(t), schemas: schemas}
	r.result.Schemas = schemas
	var all sync.WaitGroup
	for i := range deployProcesses {
		all.Go(func() {
			turn := o.Time * time.Duration(i) / deployProcesses
			r.serve(openFormer(r), o.calm()+turn, o.Seed+uint64(i))
			r.serve(openLater(r), o.calm()+o.Time-turn, o.Seed+uint64(i))
		})
	}
	all.Wait()
	return &r.result
}

// serve makes calls of a process for a while, and closes it.
func (r *deployRun) serve(s *service, lasts time.Duration, seed uint64) {
	if s == nil {
		return // an error was reported
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	var all sync.WaitGroup
	for i := range deployReaders {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		zipf := rand.NewZipf(rng, 1.1, 8, DeployKeys-1)
		all.Go(func() {
			for ctx.Err() == nil {
				r.call(s, fixedKey(int(zipf.Uint64())))
				pause(ctx, time.Duration(rng.ExpFloat64()*float64(think)))
			}
		})
	}
	all.Wait()
}

// call makes a call and records what became of it.
func (r *deployRun) call(s *service, key string) {
	loaded := false
	right, err := s.get(context.Background(), key, &loaded)
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &r.result
	curve := &d.Curve[s.release]
	bin := int(r.clock.now() / binTime)
	for len(*curve) <= bin {
		*curve = append(*curve, Bin{})
	}
	(*curve)[bin].Calls++
	d.Calls[s.release]++
	switch {
	case err != nil:
		d.Failed++
	case loaded:
		d.Loads[s.release]++
	default:
		(*curve)[bin].Answered++
	}
	if err == nil && !right {
		d.Wrong++
	}
}

func openFormer(r *deployRun) *service {
	return openService(r, 0, func(key string) formerUser { return formerUser{key, "the name of " + key} })
}

func openLater(r *deployRun) *service {
	return openService(r, 1, func(key string) laterUser { return laterUser{key, "the full name of " + key} })
}

// openService starts a process with a Redis client and a cache of its own.
func openService[T comparable](r *deployRun, release int, load func(key string) T) *service {
	client := redis.NewClient(&redis.Options{Addr: r.server.Addr(), ContextTimeoutEnabled: true})
	quiet := slog.New(slog.DiscardHandler)
	tier, err := tiered.NewRedis(client, tiered.RedisOptions{Prefix: prefix, Timeout: timeout, Heartbeat: heartbeat, Logger: quiet})
	if err != nil {
		r.t.Error(err)
		return nil
	}
	o := tiered.Options[T]{Name: "deploy", Redis: tier, Logger: quiet, Policy: tiered.Policy{TTL: ages}}
	if !r.schemas {
		o.Version = "the same"
	}
	cache, err := tiered.New(o)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	return &service{
		release: release,
		get: func(ctx context.Context, key string, loaded *bool) (bool, error) {
			v, err := cache.GetOrLoad(ctx, key, func(context.Context, *tiered.Entry[T]) (T, error) {
				*loaded = true
				return load(key), nil
			})
			return v == load(key), err
		},
		close: func() {
			for _, c := range []func() error{cache.Close, tier.Close, client.Close} {
				if err := c(); err != nil {
					r.t.Error(err)
				}
			}
		},
	}
}

// String returns the numbers and the curves.
func (d *Deploy) String() string {
	var b strings.Builder
	kind := "each release has a schema"
	if !d.Schemas {
		kind = "both releases have the same schema"
	}
	fmt.Fprintf(&b, "%s: %d wrong values in %d calls, %d failed\n", kind, d.Wrong, d.Calls[0]+d.Calls[1], d.Failed)
	for release, name := range []string{"former", "later"} {
		fmt.Fprintf(&b, "the %s release: %.1f%% hits, %d loads; hits each quarter second, in %%:",
			name, 100*d.HitRatio(release), d.Loads[release])
		for i, bin := range d.Curve[release] {
			if bin.Calls > 0 {
				fmt.Fprintf(&b, " %.0f", 100*d.Curve[release][i:i+1].Share())
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
