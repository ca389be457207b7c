//go:build !windows

package outage

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// reader is one of the goroutines of a process that read.
type reader struct {
	*run
	*process
	rng *rand.Rand
}

// read makes calls until ctx ends.
func (r *reader) read(ctx context.Context) {
	for ctx.Err() == nil {
		m := cacheConfigs[r.rng.IntN(len(cacheConfigs))]
		keys := keysOf(m, r.number)
		key := keys[r.rng.IntN(len(keys))]
		switch p := r.rng.IntN(100); {
		case p < 10:
			r.lookup(m, key)
		case p < 20 && m != longLived: // its loads have tags
			r.getOrLoadMany(m, keys[r.rng.IntN(len(keys)-3):][:3])
		default:
			_, _ = r.getOrLoad(r.process, m, key) // the journal has it
		}
		pause(ctx, time.Duration(r.rng.ExpFloat64()*float64(think)))
	}
}

// getOrLoad uses a context that doesn't end, so that only the cache ends the call.
func (r *run) getOrLoad(p *process, m *cacheConfig, key string) (Value, error) {
	c := call{process: p.number, config: m, kind: getOrLoad, key: key}
	c.start = r.clock.now()
	c.value, c.err = p.caches[m].GetOrLoad(context.Background(), key, r.loader(p, m))
	c.end = r.clock.now()
	r.journal.note(c)
	return c.value, c.err
}

func (r *run) loader(p *process, m *cacheConfig) tiered.Loader[Value] {
	return func(ctx context.Context, e *tiered.Entry[Value]) (Value, error) {
		if tag, ok := tagOf[e.Key]; ok {
			e.Tags = []string{tag}
		}
		values, err := r.source.get(ctx, p.number, m, e.Key)
		return values[e.Key], err
	}
}

func (r *reader) getOrLoadMany(m *cacheConfig, keys []string) {
	c := call{process: r.number, config: m, kind: getOrLoadMany, batch: keys}
	c.start = r.clock.now()
	values, err := tiered.GetOrLoadMany(context.Background(), r.caches[m], keys, func(key string) string { return key },
		func(ctx context.Context, keys []string) (map[string]Value, error) {
			return r.source.get(ctx, r.number, m, keys...)
		})
	c.end = r.clock.now()
	for _, key := range keys {
		c.key, c.err = key, nil
		var ok bool
		if c.value, ok = values[key]; !ok {
			if c.err = err; err == nil {
				c.err = tiered.ErrNotFound // the source has all keys
			}
		}
		r.journal.note(c)
	}
}

func (r *reader) lookup(m *cacheConfig, key string) {
	c := call{process: r.number, config: m, kind: lookup, key: key}
	c.start = r.clock.now()
	e, err := r.caches[m].Lookup(context.Background(), key)
	c.end = r.clock.now()
	if c.value, c.err = e.Value, err; e.State == tiered.Stale {
		c.value, c.err = Value{}, tiered.ErrNotFound // Lookup says that it is stale
	}
	r.journal.note(c)
}
