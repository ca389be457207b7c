//go:build !windows

package chaos

import (
	"sync/atomic"
	"time"
)

// Value is what the caches hold. Each is made once, by a Load or a Set, and has that operation's ID.
type Value struct {
	ID  int64  `json:"id"`
	Pad string `json:"pad"`
}

var padding = [...]string{"", "a short one", "one that is somewhat longer, so that frames differ in their sizes"}

func newValue(id int64) Value { return Value{ID: id, Pad: padding[id%int64(len(padding))]} }

// identity numbers the operations of one incarnation of a worker. Incarnation 0 is the parent's foreignWriter.
type identity struct {
	incarnation int
	last        atomic.Int64
}

func (n *identity) next() int64 { return int64(n.incarnation)<<40 | n.last.Add(1) }

// cachesPerWorker is the number of caches in a worker. Each is a process in the record, since it has a local tier of its own.
const cachesPerWorker = len(cacheConfigs)

// cacheConfigs configures the caches of a worker. A worker has two tiered.Redis, one of them Strict.
var cacheConfigs = [...]struct {
	strict   bool
	localTTL time.Duration // 0: the TTL
}{
	{strict: false},
	{strict: false},
	{strict: true},
	{strict: true, localTTL: time.Millisecond}, // reads mostly from Redis
}

func processID(incarnation, cache int) int { return incarnation*cachesPerWorker + cache }
