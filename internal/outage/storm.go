//go:build !windows

package outage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A storm: several processes have all that they use in their local tiers, and then nearly all of it is invalidated at once, together
// with far more keys that nobody uses. The run shows what Redis and the source are asked for until all is local again.

const (
	stormName  = "storm"
	stormChunk = 1000 // keys that an import changes in one pipeline
	bystander  = "bystander"
)

// StormKind is what invalidates the keys.
type StormKind string

// The kinds of storms. An import is another program that changes the keys of the cache within about a second, in pipelines.
const (
	ImportDel StormKind = "import by DEL"
	ImportSet StormKind = "import by SET"
	FlushAll  StormKind = "FLUSHALL"
	ClearAll  StormKind = "Clear"
)

// StormKinds returns all kinds of storms.
func StormKinds() []StormKind { return []StormKind{ImportDel, ImportSet, FlushAll, ClearAll} }

// StormOptions configures a storm.
type StormOptions struct {
	Options
	Kind         StormKind
	Invalidation tiered.Invalidation
	Imported     int           // how many keys an import changes, those in use among them
	Keys         int           // that only one process uses, and as many that all use
	Rate         int           // calls a second in each process
	MaxLoads     int           // of each process; with 16 waiting loads for each, Keys*2 must fit
	Timeout      time.Duration // RedisOptions.Timeout
}

// storm is the state of a run.
type storm struct {
	StormOptions
	t         testing.TB
	server    *redistest.Server
	client    *redis.Client // of nobody else
	clock     clock
	processes []*stormProcess

	mu      sync.Mutex
	bins    []*stormBin
	changed map[string]time.Duration // when the storm had changed the key
}

// RunStorm runs a storm. It reports what must not happen on any machine as errors of t.
func RunStorm(t testing.TB, o StormOptions) *Storm {
	t.Helper()
	s := &storm{StormOptions: o, t: t, server: redistest.Start(t), changed: make(map[string]time.Duration)}
	s.client = s.server.Client(t)
	s.fillOthers()
	for i := range processes {
		p := s.newProcess(i)
		defer p.end()
		s.processes = append(s.processes, p)
	}
	for _, p := range s.processes {
		p.awaitLocal(t, "before the storm")
	}
	s.clock = clock{time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for _, p := range s.processes {
		all.Go(func() { p.call(ctx) })
	}
	all.Go(func() { s.sample(ctx) })
	pause(ctx, o.calm())
	before, at := s.takeLoads(), s.clock.now()
	s.strike()
	pause(ctx, o.calm())
	cancel()
	all.Wait()
	r := s.report(at, before)
	for _, p := range s.processes {
		p.awaitLocal(t, "after the storm")
	}
	s.countLoads(r)
	return r
}

// strike is the storm. It returns when all is changed.
func (s *storm) strike() {
	switch s.Kind {
	case FlushAll:
		s.server.Do("FLUSHALL")
	case ClearAll:
		if err := s.processes[0].cache.Clear(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	default:
		s.importAll()
		return
	}
	at := s.clock.now()
	for _, key := range s.inUse() {
		s.changed[key] = at
	}
}

// importAll changes all keys within a second, or as fast as Redis can.
func (s *storm) importAll() {
	keys := append(s.inUse(), s.others()...)
	rand.New(rand.NewPCG(s.Seed, 1)).Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	started := time.Now()
	for i := 0; i < len(keys); i += stormChunk {
		pause(s.t.Context(), time.Until(started.Add(time.Second*time.Duration(i)/time.Duration(len(keys)))))
		chunk := keys[i:min(i+stormChunk, len(keys))]
		s.pipeline(chunk, s.Kind == ImportDel)
		at := s.clock.now()
		for _, key := range chunk {
			s.changed[key] = at
		}
	}
}

// fillOthers stores the values of the keys that nobody uses.
func (s *storm) fillOthers() {
	others := s.others()
	for i := 0; i < len(others); i += stormChunk {
		s.pipeline(others[i:min(i+stormChunk, len(others))], false)
	}
	if err := s.client.Set(s.t.Context(), bystander, "", 0).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// pipeline deletes the keys' values, or sets them as a program without this library does. So that totals can leave them out, the commands
// aren't DEL and SET, but others with the same effect.
func (s *storm) pipeline(keys []string, del bool) {
	ctx := s.t.Context()
	_, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			if name := prefix + stormName + ":" + key; del {
				pipe.Unlink(ctx, name)
			} else {
				pipe.SetEx(ctx, name, fmt.Sprintf(`{"Key":%q}`, key), ages)
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// inUse returns the keys that any process uses.
func (s *storm) inUse() (keys []string) {
	for i := range processes {
		keys = append(keys, s.ownKeys(i)...)
	}
	return append(keys, s.sharedKeys()...)
}

func (s *storm) ownKeys(process int) []string {
	return stormKeys(fmt.Sprintf("own-%d", process), s.Keys)
}
func (s *storm) sharedKeys() []string { return stormKeys("shared", s.Keys) }

// others returns the keys that only an import changes.
func (s *storm) others() []string {
	return stormKeys("other", max(0, s.Imported-(processes+1)*s.Keys))
}

func stormKeys(kind string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s-%d", kind, i)
	}
	return keys
}
