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
	clockSlack       = 50 * time.Millisecond // between servers that replicate each other, and for rounding
)

// clock is Redis's clock, whose time is in the frames: a machine whose own clock is wrong neither finds all values
// stale nor takes old ones for fresh. It is off by at most half the round trip of its last sample. While Redis can't
// be asked, it is this machine's clock, or goes on from the last sample if there is one.
//
// Most calls of Time send nothing: they add to the last sample the time that has passed since, by the monotonic
// clock. The first caller that finds it a minute old has another taken in the background, and uses the old one. The
// goroutine that takes the sample is the only writer of last, and there is one at a time (sampling).
//
// If Redis doesn't answer, or all breakers are open, the sample before stays in use, and a call of Time that comes a
// second later has Redis asked again. Only if there never was one does the sample have this machine's time, with
// asked false. LatestTime then reports that it knows no time: what it returns is compared with times that other
// processes have written.
type clock struct {
	requester *requester
	last      atomic.Pointer[sample]

	mu       sync.Mutex
	sampling chan struct{} // closed at the end of the sampling under way; nil: there is none
}

// sample is the time that a clock had at one instant.
type sample struct {
	time  time.Time
	at    mono.Instant
	until mono.Instant // when the next is to be taken
	asked bool         // it is Redis's time, and not this machine's
}

func (s *sample) timeAt(at mono.Instant) time.Time { return s.time.Add(at.Since(s.at)) }

// Time returns Redis's time. If the last sample is too old, a new one is taken in the background. Time waits for it only if
// there is no sample yet, and only until ctx ends.
func (c *clock) Time(ctx context.Context) time.Time {
	if s := c.sampled(ctx, mono.Now()); s != nil {
		return s.timeAt(mono.Now())
	}
	return time.Now()
}

// HasTime reports whether Time returns at once.
func (c *clock) HasTime() bool { return c.last.Load() != nil }

// TimeAt returns the time that Time returned at an instant shortly before.
func (c *clock) TimeAt(ctx context.Context, at mono.Instant) time.Time {
	if s := c.sampled(ctx, at); s != nil {
		return s.timeAt(at)
	}
	return time.Now().Add(-mono.Now().Since(at))
}

func (c *clock) sampled(ctx context.Context, at mono.Instant) *sample {
	s := c.last.Load()
	if s == nil || at >= s.until {
		sampled := c.sampleClock()
		if s == nil {
			select {
			case <-sampled:
				s = c.last.Load()
			case <-ctx.Done():
			}
		}
	}
	return s
}

// LatestTime returns a time that Redis's clock hasn't reached, whichever process reads it: each process is off by half a
// round trip, which is half the Timeout at most, and by the drift of two clocks since its last sample, which is less than a
// thousandth; the sample of another process is a minute old. It sends nothing. It returns false if Redis was never asked.
func (c *clock) LatestTime() (time.Time, bool) {
	s := c.last.Load()
	if s == nil || !s.asked {
		return time.Time{}, false
	}
	drift := mono.Sum(mono.Now().Since(s.at), clockSampleEvery) / 1000
	return s.timeAt(mono.Now()).Add(mono.Sum(c.requester.Timeout, drift+clockSlack)), true
}

// sampleClock takes a sample in the background, unless that is under way. It returns a channel that is closed when the sample
// is there.
func (c *clock) sampleClock() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sampling != nil {
		return c.sampling
	}
	done := make(chan struct{})
	begun := c.requester.Calls.Go(func() {
		c.last.Store(c.takeSample(c.last.Load()))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sampling = nil
		close(done)
	})
	if !begun {
		close(done)
		return done
	}
	c.sampling = done
	return done
}

// takeSample asks Redis for its time. If Redis doesn't answer, it keeps the previous sample for a moment, or takes one of this
// machine's clock if there is none.
func (c *clock) takeSample(previous *sample) *sample {
	r := c.requester
	if !r.Nodes.allOpen() {
		asked := mono.Now()
		t, err := Call(context.Background(), r.Caller, "time", nil, func(ctx context.Context) (time.Time, error) {
			return r.Client.Time(ctx).Result()
		})
		if classify(err).isMissing() {
			r.Capabilities.checkSoon()
		}
		r.Refusals.note(func() string { return AddrOf(r.Client) }, "time", []Reply{{Err: err}})
		if err == nil {
			answered := mono.Now()
			return &sample{time: t, at: asked.Add(answered.Since(asked) / 2), until: answered.Add(clockSampleEvery), asked: true}
		}
	}
	s := &sample{time: time.Now(), at: mono.Now(), until: mono.Now().Add(clockRetryAfter)}
	if previous != nil {
		s.time, s.at, s.asked = previous.time, previous.at, previous.asked
	}
	return s
}
