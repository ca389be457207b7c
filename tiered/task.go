package tiered

import (
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// task is a flight whose value the job must load.
type task[T any] struct {
	flight *flight[T]
	found  remote.Result[T] // the read that made the load necessary
	tier   Tier
	began  mono.Instant
	stamp  coherence.Position
	leased leaseKind

	// Set by the load:
	result     *record.Record[T] // nil: it failed
	policy     record.Policy     // of the result
	err        error             // returned to the callers with the result
	unstorable error             // why the result can't be stored; the callers still get it
}

// leaseKind is where a task's lease is.
type leaseKind uint8

const (
	noLease        leaseKind = iota
	primaryLease             // under the key of the value, which has none
	secondaryLease           // under a second key, while the old value stays until it is replaced
)

// entry returns the entry that the task's load will replace, for the loader. If Clone fails on the value, the entry has only
// the tags, so that the new value keeps them.
func (c *Cache[T]) entry(tk *task[T]) Entry[T] {
	none := Entry[T]{Key: tk.flight.Key, Policy: c.policy}
	r := tk.found.Record
	if r == nil {
		return none
	}
	e := entryOf(r, tk.flight.Key, c.policy, tk.tier, mono.Now())
	var err error
	if e.Value, err = c.valueOf(r); err != nil && !r.Absent {
		none.Tags = e.Tags
		return none
	}
	return e
}

// setResult sets the task's result to the value, or to its absence, with the policy and tags that the loader left in e. If the
// tags are invalid it returns an error and sets no result.
func (c *Cache[T]) setResult(tk *task[T], e *Entry[T], value T, absent bool) error {
	tags, err := wire.TagSet(wire.CloneTags(e.Tags))
	if err != nil {
		return fmt.Errorf("%w (set by the loader of %q)", err, tk.flight.Key)
	}
	tk.policy = e.Policy.ofRecords()
	if d := tk.policy.Keeps(absent); d > 0 && d < minDuration {
		c.logUncaught(&c.unkept, "tiered: a loader's value isn't stored", tk.flight.Key, fmt.Errorf("its TTL is %v: want at least %v", d, minDuration))
	}
	tk.result = c.newResult(tk, value, absent, tags)
	return nil
}

// newResult returns a record of the value that the task's load returned. The tags must come from wire.TagSet. A value on which
// Clone or Cost fails is returned to the callers but not stored.
func (c *Cache[T]) newResult(tk *task[T], value T, absent bool, tags []string) *record.Record[T] {
	tk.unstorable = nil
	if c.values.Clone != nil && !absent {
		var clone T
		if clone, tk.unstorable = c.values.Copy(value); tk.unstorable == nil {
			value = clone
		}
	}
	r := record.NewFor(&tk.policy, value, absent, mono.Now().Since(tk.began), tk.stamp.Stamp(tags))
	if own := tk.policy.Windows; own != c.view.Windows {
		r.Windows = &own
	}
	if !absent && tk.unstorable == nil {
		r.Cost, tk.unstorable = c.values.Weigh(&r.Value)
	}
	return r
}

// keysOf returns the keys of the elements.
func keysOf[E any](all []E, key func(E) string) []string {
	keys := make([]string, len(all))
	for i, e := range all {
		keys[i] = key(e)
	}
	return keys
}

func (tk *task[T]) key() string { return tk.flight.Key }
