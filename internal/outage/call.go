//go:build !windows

package outage

import "sync"

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

// call is a call of a process's cache that has returned.
type call struct {
	process int
	member  *member
	kind    kind
	key     string
	span
	value Value
	err   error
	batch []string          // the keys of a GetOrLoadMany
	wrote map[string]uint64 // by a change: the source's versions before it began
}

// loads reports whether the call gets a value from wherever it can be had.
func (c *call) loads() bool { return c.kind == getOrLoad || c.kind == getOrLoadMany }

// reads reports whether the call asks for a value.
func (c *call) reads() bool { return c.loads() || c.kind == lookup }

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
