package redisconn

import (
	"cmp"
	"sync"
)

// Window sends writes in chunks: some chunks are on their way while the next is assembled. The last chunk, which is the only
// one of a small batch, is sent in the caller's goroutine.
//
// So the memory of a batch in transit is bounded: Add waits while ParallelChunks are under way. If Redis answered two
// chunks in a row not at all, Window doesn't stop: each later chunk still goes to send, which gets the error and must
// not ask Redis any more. It has to do what is done with a write that Redis didn't take.
type Window[W any] struct {
	size func(W) int                           // the bytes of its key and value
	send func(writes []W, silence error) error // returns an error if Redis didn't answer at all

	chunk    []W
	bytes    int // of the chunk
	room     chan struct{}
	underWay sync.WaitGroup

	mu       sync.Mutex
	silences int   // consecutive chunks that Redis didn't answer at all
	silence  error // the error of the second such chunk; the rest isn't sent to Redis
}

// NewWindow returns a Window for about as many writes as expected.
func NewWindow[W any](expected int, size func(W) int, send func(writes []W, silence error) error) *Window[W] {
	return &Window[W]{size: size, send: send, chunk: make([]W, 0, min(expected, MaxChunk))}
}

// Add adds a write to the chunk. It first sends the chunk if that is full.
func (w *Window[W]) Add(one W) {
	bytes := CommandBytes + w.size(one)
	if n := len(w.chunk); n == MaxChunk || n > 0 && w.bytes+bytes > MaxChunkBytes {
		full := w.chunk
		w.chunk, w.bytes = make([]W, 0, MaxChunk), 0
		if w.room == nil {
			w.room = make(chan struct{}, ParallelChunks)
		}
		w.room <- struct{}{}
		w.underWay.Go(func() {
			defer func() { <-w.room }()
			w.sendNow(full)
		})
	}
	w.chunk, w.bytes = append(w.chunk, one), w.bytes+bytes
}

// sendNow sends a chunk and waits for it.
func (w *Window[W]) sendNow(writes []W) {
	w.mu.Lock()
	silence := w.silence
	w.mu.Unlock()
	silence = w.send(writes, silence)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silences++; silence == nil {
		w.silences = 0
	} else if w.silences > 1 {
		w.silence = cmp.Or(w.silence, silence)
	}
}

// End sends the last chunk and waits for all chunks.
func (w *Window[W]) End() {
	if len(w.chunk) > 0 {
		w.sendNow(w.chunk)
	}
	w.Wait()
}

// Wait waits for the chunks that are under way.
func (w *Window[W]) Wait() { w.underWay.Wait() }
