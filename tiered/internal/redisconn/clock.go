package redisconn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	clockSampleEvery = time.Minute
	clockRetryAfter  = time.Second
	clockSlack       = 50 * time.Millisecond // between servers that follow each other, and for what is rounded
)

// clock tells Redis's time, which the frames carry: a machine whose own clock is off neither finds all values
// stale nor takes old ones for fresh. It is off by at most half the round trip of its last sample. Where Redis can't be
// asked, it is this machine's clock.
type clock struct {
	sample atomic.Pointer[sample]

	mu       sync.Mutex
	sampling chan struct{} // closed when the sampling under way is done; nil: none is
}

type sample struct {
	redis time.Time    // Redis's time
	at    mono.Instant // at this instant
	until mono.Instant // good until then
	asked bool         // it is Redis's, and not this machine's
}

func (s *sample) time(at mono.Instant) time.Time { return s.redis.Add(at.Since(s.at)) }

// Time returns Redis's time. It has Redis asked where the last sample is too old, and waits for the answer only if there
// is no sample yet, and only until ctx ends.
func (r *Conn) Time(ctx context.Context) time.Time {
	if s := r.sampled(ctx, mono.Now()); s != nil {
		return s.time(mono.Now())
	}
	return time.Now()
}

// HasTime reports whether now doesn't have to wait.
func (r *Conn) HasTime() bool { return r.clock.sample.Load() != nil }

// TimeAt is now as it was at an instant that is hardly over.
func (r *Conn) TimeAt(ctx context.Context, at mono.Instant) time.Time {
	if s := r.sampled(ctx, at); s != nil {
		return s.time(at)
	}
	return time.Now().Add(-mono.Now().Since(at))
}

func (r *Conn) sampled(ctx context.Context, at mono.Instant) *sample {
	s := r.clock.sample.Load()
	if s == nil || at >= s.until {
		sampled := r.sampleClock()
		if s == nil {
			select {
			case <-sampled:
				s = r.clock.sample.Load()
			case <-ctx.Done():
			}
		}
	}
	return s
}

// LatestTime returns a time that Redis's clock hasn't reached, whichever process tells: each is off by half a round trip, which
// is half the Timeout at most, and by what two clocks drift since its last sample, which is less than a thousandth; that
// of another process is a minute old. It asks nobody; false: Redis was never asked.
func (r *Conn) LatestTime() (time.Time, bool) {
	s := r.clock.sample.Load()
	if s == nil || !s.asked {
		return time.Time{}, false
	}
	drift := mono.Sum(mono.Now().Since(s.at), clockSampleEvery) / 1000
	return s.time(mono.Now()).Add(mono.Sum(r.Timeout, drift+clockSlack)), true
}

// sampleClock begins to ask Redis for its time, unless that is under way, and returns a channel that is closed when the
// sample is there.
func (r *Conn) sampleClock() <-chan struct{} {
	c := &r.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sampling != nil {
		return c.sampling
	}
	done := make(chan struct{})
	if !r.Calls.Begin() {
		close(done)
		return done
	}
	c.sampling = done
	go func() {
		defer r.Calls.End()
		c.sample.Store(r.askTime(c.sample.Load()))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sampling = nil
		close(done)
	}()
	return done
}

// askTime falls back on the previous sample, and without one on this machine's clock, for a moment.
func (r *Conn) askTime(previous *sample) *sample {
	if !r.isolated() {
		asked := mono.Now()
		t, err := Call(context.Background(), r, "time", nil, func(ctx context.Context) (time.Time, error) {
			return r.Client.Time(ctx).Result()
		})
		if isLack(err) {
			r.Capabilities.mu.Lock()
			r.Capabilities.hurry(r)
			r.Capabilities.mu.Unlock()
		}
		r.Refusals.Note(func() string { return AddrOf(r.Client) }, "time", []Reply{{Err: err}})
		if err == nil {
			answered := mono.Now()
			return &sample{redis: t, at: asked.Add(answered.Since(asked) / 2), until: answered.Add(clockSampleEvery), asked: true}
		}
	}
	s := &sample{redis: time.Now(), at: mono.Now(), until: mono.Now().Add(clockRetryAfter)}
	if previous != nil {
		s.redis, s.at, s.asked = previous.redis, previous.at, previous.asked
	}
	return s
}
