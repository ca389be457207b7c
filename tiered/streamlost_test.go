package tiered_test

import (
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// Each loss of the connection for invalidations is counted, however short, by the caches that were open.
func TestStreamLost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newRedis(t, s, tiered.RedisOptions{Invalidation: tiered.PubSub})
	c := newCache(t, tiered.Options[string]{Name: "first", Redis: r})
	for n := range uint64(3) {
		waitFor(t, func() bool {
			s.Do("CLIENT", "KILL", "TYPE", "pubsub") // again, if the connection wasn't in use yet
			return c.Stats().StreamLost > n
		})
	}
	later := newCache(t, tiered.Options[string]{Name: "second", Redis: r})
	waitFor(t, func() bool {
		s.Do("CLIENT", "KILL", "TYPE", "pubsub")
		return later.Stats().StreamLost > 0
	})
	if since, all := later.Stats().StreamLost, c.Stats().StreamLost; since > all-3 {
		t.Errorf("lost %d times, and %d times since the second cache was made", all, since)
	}
}
