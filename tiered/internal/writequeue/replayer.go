package writequeue

import (
	"context"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// The replayer is a goroutine that runs while something is queued. A cache whose Redis takes all writes has none. add starts it if
// none runs, which the flag replaying says. The replayer clears the flag with the queue's lock held, and only if nothing is queued or
// its context has ended: a write that is queued while it ends starts another.

const (
	firstPause  = 10 * time.Millisecond // a write may have failed by chance
	replayBatch = 500                   // keys in one pipeline
)

// run replays the queue until it is empty or ctx is done, with growing pauses between attempts.
func (q *Queue) run(ctx context.Context) {
	longest := max(q.MaxPause, firstPause)
	for pause := firstPause; !q.stopIfEmpty(); pause = min(mono.Times(2, pause), longest) {
		if !mono.Sleep(ctx, mono.Jitter(pause), q.wake) {
			q.stopped()
			return
		}
		q.replay(ctx, false)
	}
}

// replay tries once to replay the queue. Invalidations that fail stay queued. With last it ends when a server doesn't answer.
func (q *Queue) replay(ctx context.Context, last bool) {
	q.replayQueued(ctx)
	for batch := range slices.Chunk(q.queuedKeys(), replayBatch) {
		if ctx.Err() != nil || !q.ReplayKeys(ctx, batch) && last {
			return
		}
	}
}

// RetryNow makes the replayer, if one runs, try at once.
func (q *Queue) RetryNow() {
	if q.size.Load() == 0 {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// stopped records that the replayer has ended, or couldn't begin.
func (q *Queue) stopped() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.replaying = false
}

// stopIfEmpty reports whether the replayer must end because nothing is queued.
func (q *Queue) stopIfEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size.Load() == 0 {
		q.replaying = false
	}
	return !q.replaying
}

// Close replays the queue once more, for as long as the timeout, makes it refuse further writes, and returns how many
// invalidations are lost. The replayer must have ended.
func (q *Queue) Close(timeout time.Duration) (lost int) {
	if q.Len() > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		q.replay(ctx, true)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return int(q.size.Load())
}
