package tiered

import (
	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// What is recorded of misses and loads, for Events.

// recordMisses records the misses that make a load necessary. It returns the present instant, if events are recorded.
func (c *core[T]) recordMisses(tasks []*task[T]) mono.Instant {
	if !c.recent.on() {
		return 0
	}
	for _, tk := range tasks {
		reason := "there is no Redis, and no copy in memory that could be served"
		if c.remote != nil {
			reason = missReason(&tk.found)
		}
		c.recent.add(inspection.Event{Key: tk.flight.Key, Kind: inspection.Missed, Reason: reason})
	}
	return mono.Now()
}

// recordMiss records the miss of a read without a loader.
func (c *core[T]) recordMiss(key string, f *remote.Result[T]) {
	if c.recent.on() {
		c.recent.add(inspection.Event{Key: key, Kind: inspection.Missed, Reason: missReason(f)})
	}
}

// recordLoads records that a loader has returned the results of the tasks. It began at the instant.
func (c *core[T]) recordLoads(tasks []*task[T], began mono.Instant) {
	if began == 0 || !c.recent.on() {
		return
	}
	took := mono.Now().Since(began)
	for _, tk := range tasks {
		if tk.result != nil {
			c.recent.add(inspection.Event{Key: tk.flight.Key, Kind: inspection.Loaded, Took: took})
		}
	}
}

// recordFailure records that the load of a key failed.
func (c *core[T]) recordFailure(key string, why error) {
	if c.recent.on() {
		c.recent.add(inspection.Event{Key: key, Kind: inspection.Failed, Reason: why.Error()})
	}
}

// Events returns the last misses and loads of this process, the newest first, at most 1,024. They are recorded from the first call on,
// until ten minutes after the last one, so the first call returns none. Misses of keys over 4 kB aren't recorded.
func (c *Cache[T]) Events() []inspection.Event {
	c.recent.until.Store(int64(mono.Now().Add(watchedFor)))
	return c.recent.latest(func(*inspection.Event) bool { return true })
}
