//go:build !windows

package outage

import (
	"fmt"
	"sync"
	"time"
)

// kind is a method of a cache.
type kind string

const (
	getOrLoad      kind = "GetOrLoad"
	getOrLoadMany  kind = "GetOrLoadMany" // for each of its keys
	lookup         kind = "Lookup"
	set            kind = "Set"
	remove         kind = "Delete"
	expire         kind = "Expire"
	invalidateTags kind = "InvalidateTags"
)

// call is a finished call of one of a process's caches.
type call struct {
	process int
	config  *cacheConfig
	kind    kind
	key     string
	span
	value Value
	err   error
	batch []string          // the keys of a GetOrLoadMany
	wrote map[string]uint64 // of a change: the source's version of each key when it began
}

// loads reports whether the call loads the value if no tier has it.
func (c *call) loads() bool { return c.kind == getOrLoad || c.kind == getOrLoadMany }

// reads reports whether the call returns a value.
func (c *call) reads() bool { return c.loads() || c.kind == lookup }

func (c *call) String() string {
	return fmt.Sprintf("process %d, %s, %s(%s) from %v, took %v", c.process, c.config.name, c.kind, c.key,
		c.start.Round(time.Millisecond), c.length().Round(time.Millisecond))
}

// journal is the record of all calls.
type journal struct {
	mu    sync.Mutex
	calls []call
}

func (j *journal) note(calls ...call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, calls...)
}
