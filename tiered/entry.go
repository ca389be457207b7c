package tiered

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Loader gets the value of e.Key from the source. It runs in a goroutine of the cache, once for all callers that wait for the
// key. Its context has the first caller's values but not its cancellation or deadline: it ends after [Policy].LoadTimeout and
// when the cache is closed.
//
// e is the entry to be replaced. If e.Found, e.Value is the present value, which is stale or, with Refresh and RefreshAfter,
// still fresh. A loader that finds it unchanged in the source returns it. The loader may change e.Policy and e.Tags for the
// value it returns. Of the policy, the fields that say how long a value is kept and served apply; LocalTTL applies to the copy that
// this process keeps of its own load, and not to what it or others read from Redis later. With an e.Policy.TTL of less
// than a millisecond, 0 included, the value is not stored, with such an e.Policy.NotFoundTTL its absence isn't. If that is more than 0
// the Logger gets a record, since the number was probably meant to be in seconds. Other fields may be anything: negative ones count
// as 0. e.Tags are the present value's tags. A loader may append to them, since duplicates count once. With more than 128
// different tags, an empty one, or one of over 256 bytes the load fails.
//
// The loader must not keep e, but may keep e.Key and e.Tags. The tags that it sets are copied.
//
// A load may go on after the call that began it has returned. A loader therefore uses e.Key rather than a variable of the
// request: if the framework reuses a request's memory, as Fiber does, a key that the loader captured may be another request's
// by then. The returned value belongs to the cache: the loader must not modify it any more, or reuse memory that it refers to,
// unless there is an [Options].Clone.
//
// The context has the values of the first caller, for all callers and even after the first has left. A transaction in it may be
// over by then, and a tracing span ended. A fiber.Ctx, which is a context too, serves another request by then and must not be
// used at all: call the cache with its Context(). So a loader takes from the context only values that outlive the call, such as
// a trace's ID, and uses a connection of its own. Everything a value depends on, such as a tenant or a user's permissions, must
// be part of the key.
//
// A nil is a value like any other, and so is every zero value: it is cached, and read as nil, from Redis too. (With codec.Raw a
// nil comes from Redis as an empty value.) The error [ErrNotFound], bare or wrapped, says that the source has no such value. Any
// other error reaches every waiting caller unchanged, and nothing is stored.
type Loader[T any] func(ctx context.Context, e *Entry[T]) (T, error)

// Entry is a cache entry. A [Loader] gets the one it is to replace; Lookup returns the present one.
type Entry[T any] struct {
	Key    string // the cache's copy, which may be kept
	Value  T
	Found  bool          // there is a Value
	Policy Policy        // the cache's; a Loader may change it for the value it returns
	Tags   []string      // the labels stored with the value, sorted and each once: at most 128, of 1 to 256 bytes
	Age    time.Duration // since the value was stored; 0 for a value that another program wrote
	Tier   Tier          // where the entry was found; 0: nowhere
	State  State         // 0: there is no entry
}

// Tier is one of the two places where an entry can be.
type Tier uint8

const (
	Local  Tier = iota + 1 // this process's memory
	Remote                 // Redis
)

// String returns "local", "remote" or "none".
func (t Tier) String() string {
	switch t {
	case Local:
		return "local"
	case Remote:
		return "remote"
	}
	return "none"
}

// State says how an entry may be served.
type State uint8

const (
	Fresh    State = iota + 1 // served
	Stale                     // past its TTL, or expired: handed to a Loader, and served only as the Policy says
	NotFound                  // a remembered absence: reads return ErrNotFound
)

// String returns "fresh", "stale", "not found" or "none".
func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case NotFound:
		return "not found"
	}
	return "none"
}

// entryOf returns the Entry of r for a Loader or a caller of Lookup.
func entryOf[T any](r *record.Record[T], key string, p Policy, tier Tier, at mono.Instant) Entry[T] {
	return Entry[T]{
		Key:    key,
		Value:  r.Value,
		Found:  !r.Absent,
		Policy: p,
		Tags:   slices.Clone(r.Tags),
		Age:    max(0, at.Since(r.Created)),
		Tier:   tier,
		State:  stateOf(r, at),
	}
}

// entry returns the entry that the task's load will replace, for the loader. If Clone fails on the value, the entry has only
// the tags, so that the new value keeps them.
func (c *Cache[T]) entry(tk *task[T]) Entry[T] {
	none := Entry[T]{Key: tk.Key(), Policy: c.policy}
	r := tk.Found.Record
	if r == nil {
		return none
	}
	e := entryOf(r, tk.Key(), c.policy, tierOf(tk.InMemory), mono.Now())
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
		return fmt.Errorf("%w (set by the loader of %q)", err, tk.Key())
	}
	tk.Policy = e.Policy.ofRecords()
	if d := tk.Policy.Keeps(absent); d > 0 && d < minDuration {
		c.logUncaught(&c.unkept, "tiered: a loader's value isn't stored", tk.Key(), fmt.Errorf("its TTL is %v: want at least %v", d, minDuration))
	}
	c.tiers.SetResult(tk, value, absent, tags, &c.view)
	return nil
}

// tierOf returns the Tier of a record.
func tierOf(inMemory bool) Tier {
	if inMemory {
		return Local
	}
	return Remote
}

// stateOf returns the State of r at an instant.
func stateOf[T any](r *record.Record[T], at mono.Instant) State {
	switch {
	case r.Stale(at):
		return Stale
	case r.Absent:
		return NotFound
	}
	return Fresh
}
