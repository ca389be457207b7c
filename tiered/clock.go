package tiered

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	clockSampleEvery = time.Minute
	clockRetryAfter  = time.Second
)

// redisClock tells Redis's time, which the frames carry: a machine whose own clock is off neither finds all values
// stale nor takes old ones for fresh. It is off by at most the round trip of its last sample. Where Redis can't be
// asked, it is this machine's clock.
type redisClock struct {
	sampling sync.Mutex
	sample   atomic.Pointer[clockSample]
}

type clockSample struct {
	redis time.Time // Redis's time
	at    instant   // at this instant
	until instant   // good until then
}

func (s *clockSample) now() time.Time { return s.redis.Add(now().since(s.at)) }

// now returns Redis's time, and asks for it where the last sample is too old.
func (r *Redis) now(ctx context.Context) time.Time {
	c := &r.clock
	s := c.sample.Load()
	if s != nil && now() < s.until {
		return s.now()
	}
	if !c.sampling.TryLock() {
		if s != nil {
			return s.now()
		}
		return time.Now()
	}
	defer c.sampling.Unlock()
	s = r.sampleClock(ctx, s)
	c.sample.Store(s)
	return s.now()
}

// sampleClock falls back on the previous sample, and without one on this machine's clock, for a moment.
func (r *Redis) sampleClock(ctx context.Context, previous *clockSample) *clockSample {
	at := now()
	t, err := call(context.WithoutCancel(ctx), r, "time", func(ctx context.Context) (time.Time, error) { return r.client.Time(ctx).Result() })
	if err == nil {
		return &clockSample{redis: t, at: at, until: now().add(clockSampleEvery)}
	}
	s := &clockSample{redis: time.Now(), at: now(), until: now().add(clockRetryAfter)}
	if previous != nil {
		s.redis, s.at = previous.redis, previous.at
	}
	return s
}
