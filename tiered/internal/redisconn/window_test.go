package redisconn_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// Writes are sent in chunks of limited length and size, in the caller's goroutine if there is only one.
func TestWindow(t *testing.T) {
	for name, c := range map[string]struct {
		writes, size, chunks int
	}{
		"none":      {0, 1, 0},
		"one":       {1, 1, 1},
		"one big":   {1, 10 << 20, 1},
		"a chunk":   {redisconn.MaxChunk, 10, 1},
		"one more":  {redisconn.MaxChunk + 1, 10, 2},
		"some big":  {5, redisconn.MaxChunkBytes, 5},
		"many tiny": {10 * redisconn.MaxChunk, 1, 10},
	} {
		t.Run(name, func(t *testing.T) {
			var chunks, sent atomic.Int64
			w := redisconn.NewWindow(c.writes, func(int) int { return c.size }, func(writes []int, _ error) error {
				chunks.Add(1)
				sent.Add(int64(len(writes)))
				return nil
			})
			for i := range c.writes {
				w.Add(i)
			}
			w.End()
			if chunks.Load() != int64(c.chunks) || sent.Load() != int64(c.writes) {
				t.Errorf("%d writes in %d chunks, want %d in %d", sent.Load(), chunks.Load(), c.writes, c.chunks)
			}
		})
	}
}

// Once Redis hasn't answered two chunks in a row, the others get that error and needn't be sent.
func TestWindowWithoutAnswers(t *testing.T) {
	silence := errors.New("no answer")
	asked := 0
	w := redisconn.NewWindow(1, func(int) int { return 1 }, func(_ []int, err error) error {
		if err == nil {
			asked++
			err = silence
		}
		return err
	})
	for i := range 3*redisconn.MaxChunk + 1 {
		w.Add(i)
		w.Wait() // one after the other
	}
	w.End()
	if asked != 2 {
		t.Errorf("Redis was asked %d times", asked)
	}
}
