//go:build !windows

package outage

import (
	"context"
	"time"
)

// clock measures time since the start of a run.
type clock struct{ start time.Time }

func (c clock) now() time.Duration { return time.Since(c.start) }

// span is an interval of time.
type span struct{ start, end time.Duration }

func (s span) length() time.Duration { return s.end - s.start }

// overlaps reports whether the spans have a moment in common.
func (s span) overlaps(other span) bool { return s.start <= other.end && other.start <= s.end }

// widened returns the span with some time before and after it.
func (s span) widened(before, after time.Duration) span { return span{s.start - before, s.end + after} }

// pause returns when d is over or ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// await polls until done returns true, and reports whether it did within patience.
func await(patience time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
