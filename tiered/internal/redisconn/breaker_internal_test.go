package redisconn

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Only calls that nobody gave up, and that began after the last answer, open a breaker, and only if the server doesn't answer
// a probe either: such a call may have been for a value that was too large.
func TestFailuresInARow(t *testing.T) {
	c := open(t, deadClient(t))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		calls func(b *Breaker)
		open  bool
	}{
		"three": {func(b *Breaker) { failures(t, b, 3) }, true},
		"two":   {func(b *Breaker) { failures(t, b, 2) }, false},
		"a probe is answered": {func(b *Breaker) {
			b.ProbeWith = func(context.Context) error { return nil }
			failures(t, b, 3)
		}, false},
		"an answer": {func(b *Breaker) { failures(t, b, 2); b.Report(t.Context(), nil, mono.Now(), nil); failures(t, b, 2) }, false},
		"given up": {func(b *Breaker) {
			for range 5 {
				b.Report(over, nil, mono.Now(), context.Canceled)
			}
		}, false},
		"closed": {func(b *Breaker) {
			for range 5 {
				b.Report(t.Context(), nil, mono.Now(), ErrClosed)
			}
		}, false},
		"begun before the answer": {func(b *Breaker) {
			began := mono.Now()
			b.Report(t.Context(), nil, mono.Now().Add(1), nil)
			for range 5 {
				b.Report(t.Context(), nil, began, io.EOF)
			}
		}, false},
		"retired": {func(b *Breaker) { b.Retire(); failures(t, b, 3) }, false},
	} {
		b := c.Nodes.NewBreaker(func() string { return "a" }, nil)
		b.ProbeWith = func(context.Context) error { return io.EOF }
		test.calls(b)
		for b.probing.Load() {
			runtime.Gosched()
		}
		if b.IsOpen() != test.open {
			t.Errorf("%s: %v", name, b.Status())
		}
		b.Retire()
	}
}

func failures(t *testing.T, b *Breaker, n int) {
	for range n {
		b.Report(t.Context(), nil, mono.Now(), io.EOF)
	}
}
