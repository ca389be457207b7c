package tiers

import (
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// Task is a flight whose value a job must load.
type Task[T, S any] struct {
	Flight        *inflight.Flight[T, S]
	Found         remote.Result[T] // the read that made the load necessary
	InMemory      bool             // its record is the local tier's
	Began         mono.Instant     // when the job began to look for the value
	Invalidations uint64           // how often this process had invalidated tags when the flight began

	stamp  coherence.Position
	leased leaseKind

	// Set by the load:
	Policy     record.Policy     // of the result
	Result     *record.Record[T] // nil: it failed
	Err        error             // returned to the callers with the result
	Unstorable error             // why the result can't be stored; the callers still get it
}

// leaseKind is where a task's lease is.
type leaseKind uint8

const (
	noLease        leaseKind = iota
	primaryLease             // under the key of the value, which has none
	secondaryLease           // under a second key, while the old value stays until it is replaced
)

// Key returns the task's key.
func (tk *Task[T, S]) Key() string { return tk.Flight.Key }

// KeysOf returns the keys of the elements.
func KeysOf[E any](all []E, key func(E) string) []string {
	keys := make([]string, len(all))
	for i, e := range all {
		keys[i] = key(e)
	}
	return keys
}
