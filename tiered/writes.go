package tiered

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// writes are the changes of one call, for any number of keys, which must differ. They go to Redis in chunks: so no more of them
// have to be encoded at a time than are on their way, and a key's turn is taken for no longer than its chunk takes.
type writes[T any] struct {
	*window[T]
	cache *Cache[T]
	ctx   context.Context

	mu     sync.Mutex
	failed []string
	err    error // the first
}

// newWrites is for about so many changes.
func (c *Cache[T]) newWrites(ctx context.Context, size int) *writes[T] {
	w := &writes[T]{cache: c, ctx: ctx}
	w.window = newWindow(size, w.write)
	return w
}

// end makes the last of the changes, waits for all, and returns the first error.
func (w *writes[T]) end() error {
	w.window.end()
	w.cache.queue.tell(w.failed, w.err)
	return w.err
}

// write makes changes that supersede whatever else is under way for their keys: first in Redis, then in the local tier, so that
// what a reader finds in Redis meanwhile can't stay there. The changes' keys, which may be the caller's, are the cache's own from
// here on. After a silence Redis isn't asked. It returns the error of a Redis that
// answers nothing.
func (w *writes[T]) write(changes []keyWrite[T], silence error) error {
	c := w.cache
	for i, ch := range changes {
		changes[i].hold = c.keys.beginWrite(ch.hold.key, ch.hold.hash)
		if ch.item != nil {
			ch.item.Key = changes[i].hold.key // what it had is the caller's
		}
	}
	switch {
	case c.remote == nil:
		c.finish(changes, nil)
		return nil
	case silence != nil:
		w.finish(changes, 0, redisconn.Failed(len(changes), silence, c.remote.redis.Nodes.Any()))
		return silence
	}
	// Only the wait for a turn: what is under way in it may be for ever.
	ctx, cancel := context.WithTimeout(w.ctx, c.remote.redis.Timeout)
	defer cancel()
	busy, silence := w.writeInTurn(ctx, changes, false)
	if len(busy) > 0 {
		var later error
		busy, later = w.writeInTurn(ctx, busy, true)
		silence = cmp.Or(silence, later)
	}
	if len(busy) > 0 {
		w.finish(busy, 0, redisconn.Failed(len(busy), fmt.Errorf("%w: %w", errTurnTaken, ctx.Err()), c.remote.redis.Nodes.Any()))
	}
	return silence
}

// writeInTurn makes the changes whose turn it gets, with wait before ctx ends, and returns the others.
func (w *writes[T]) writeInTurn(ctx context.Context, changes []keyWrite[T], wait bool) (busy []keyWrite[T], silence error) {
	c := w.cache
	turns, inTurn, busy := c.keys.lockWrites(ctx, changes, wait)
	defer turns.done()
	for i, ch := range inTurn {
		inTurn[i].hold = c.keys.listen(ch.hold, nil)
	}
	mark := c.queue.mark()
	answers := c.remote.write(w.ctx, inTurn, turns.done)
	w.finish(inTurn, mark, answers)
	return busy, redisconn.UnresponsiveError(answers)
}

// finish queues the changes that failed, before a read that begins after them may find in Redis what was to be changed, and
// finishes all. The others override what was queued up to the mark.
func (w *writes[T]) finish(changes []keyWrite[T], mark uint64, answers []redisconn.Reply) {
	if len(changes) == 0 {
		return
	}
	failed, err := w.cache.queue.changed(keysOf(changes), changes[0].expire, mark, answers)
	w.cache.finish(changes, answers)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed, w.err = append(w.failed, failed...), cmp.Or(w.err, err)
}

func keysOf[T any](changes []keyWrite[T]) []string {
	keys := make([]string, len(changes))
	for i, ch := range changes {
		keys[i] = ch.hold.key
	}
	return keys
}

func (c *Cache[T]) finish(changes []keyWrite[T], answers []redisconn.Reply) {
	for i, ch := range changes {
		if answers != nil {
			c.bindToServer(ch.item, answers[i], ch.began)
		}
		c.keys.endWrite(ch.hold, ch.item, ch.expire)
	}
}

// window has changes made a chunk at a time: some chunks are on their way while the next is put together. The last is made in
// the caller's own goroutine, and so is the only one of a small batch.
type window[T any] struct {
	send func(changes []keyWrite[T], silence error) error // returns the error of a Redis that answers nothing

	chunk    []keyWrite[T]
	bytes    int // of the chunk
	room     chan struct{}
	underWay sync.WaitGroup

	mu       sync.Mutex
	silences int   // chunks in a row during which Redis answered nothing
	silence  error // that was so of two: the rest isn't sent
}

// newWindow makes a window for about so many changes.
func newWindow[T any](size int, send func(changes []keyWrite[T], silence error) error) *window[T] {
	return &window[T]{send: send, chunk: make([]keyWrite[T], 0, min(size, redisconn.MaxChunk))}
}

func (w *window[T]) add(ch keyWrite[T]) {
	bytes := redisconn.CommandBytes + len(ch.hold.key) + len(ch.frame) + len(ch.seen.Bytes)
	if n := len(w.chunk); n == redisconn.MaxChunk || n > 0 && w.bytes+bytes > redisconn.MaxChunkBytes {
		full := w.chunk
		w.chunk, w.bytes = make([]keyWrite[T], 0, redisconn.MaxChunk), 0
		if w.room == nil {
			w.room = make(chan struct{}, redisconn.ParallelChunks)
		}
		w.room <- struct{}{}
		w.underWay.Go(func() {
			defer func() { <-w.room }()
			w.sendNow(full)
		})
	}
	w.chunk, w.bytes = append(w.chunk, ch), w.bytes+bytes
}

func (w *window[T]) sendNow(changes []keyWrite[T]) {
	w.mu.Lock()
	silence := w.silence
	w.mu.Unlock()
	silence = w.send(changes, silence)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silences++; silence == nil {
		w.silences = 0
	} else if w.silences > 1 {
		w.silence = cmp.Or(w.silence, silence)
	}
}

// end makes the changes that are left, and waits for all.
func (w *window[T]) end() {
	if len(w.chunk) > 0 {
		w.sendNow(w.chunk)
	}
	w.wait()
}

// wait waits for what is under way.
func (w *window[T]) wait() { w.underWay.Wait() }
