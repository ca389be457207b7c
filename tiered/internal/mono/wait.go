package mono

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d, or until the channel has an element. It returns false if ctx ends first. The channel may be nil.
func Sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// Jitter returns a random duration between d/2 and d, so that processes that failed at the same time don't try again at the same
// time. The duration must not be negative.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
