package writequeue

// The replayer is a goroutine of the cache. It runs while something is queued.

// Wake returns the channel on which the replayer is told to try at once.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

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

// Stopped records that the replayer has ended, or couldn't begin.
func (q *Queue) Stopped() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.replaying = false
}

// StopIfEmpty reports whether the replayer must end because nothing is queued.
func (q *Queue) StopIfEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size.Load() == 0 {
		q.replaying = false
	}
	return !q.replaying
}
