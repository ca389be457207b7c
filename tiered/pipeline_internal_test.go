package tiered

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// Nothing is left of reads that are over.
func TestLanesRetire(t *testing.T) {
	c := openOn(t, redistest.Start(t).Client(t), Policy{})
	c.remote.redis.timeout = 200 * time.Millisecond
	p := c.remote.redis.pipelineOf(c.remote.redis.streams.only.breaker)
	lanes := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.lanes) + len(p.idle)
	}
	seen := 0
	for range 3 {
		_, _ = c.Get(t.Context(), "k")
		seen += lanes()
		eventually(t, "the lanes' end", func() bool { return lanes() == 0 })
	}
	if seen == 0 {
		t.Error("there was no lane")
	}
}
