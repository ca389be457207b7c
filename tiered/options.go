package tiered

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

const (
	defaultMaxCost     = 100_000
	defaultMaxLoads    = 256
	defaultTTL         = time.Minute
	defaultLoadTimeout = 30 * time.Second
	defaultRetryAfter  = time.Second
	defaultJitter      = 0.05
	maxNameLen         = 128
)

// Options configures a [Cache]. Only Name is required.
//
// Codec, Cost and Clone, and the methods of T that they call, must not use the cache, because other calls wait for them. If one
// of them panics, that is an error of the one value, like any other failure: bytes in Redis are a miss, Set returns an error that
// wraps a [*codec.PanicError], and a value that a Loader returned isn't stored. Its callers get that value nevertheless if the
// Codec or Cost failed. If Clone fails for a caller, the call returns the error. [Stats].CodecErrors counts these errors; the
// Logger and [Trace].CodecError get those that no caller gets. (A first call of runtime.Goexit ends its goroutine and fails one
// load; later ones are errors, too.)
type Options[T any] struct {
	// Name is the cache's namespace in Redis and its label in metrics: 1 to 128 letters, digits, '.', '_', '-'
	// or '/'.
	Name string
	// Redis is the second tier. nil: the cache is in-process only. NewRedis returns nil with an error, so a program that
	// ignores the error gets a cache without a second tier, and no other sign of it.
	Redis *Redis
	// Codec turns values into the bytes kept in Redis. nil: codec.JSON. It is given pointers to values, so that methods with
	// pointer receivers are called. New fails if the codec can't encode the type of the zero value of T, or of one inside T's
	// pointers, slices and maps, and if codec.JSON would have to decode into an interface that has methods. New doesn't find
	// failures that only some values of T show, such as an error in a field under JSON, or the content of an interface that has
	// methods under Msgpack: such values are misses, which Stats counts and the Logger gets. A codec may lose parts of a T, see
	// [codec.JSON] and [codec.Msgpack]. The local tier holds the values themselves: if T is any, an int that comes from Redis is
	// a float64. Choose a T that says what the values are. null is nil if T can be nil, otherwise a miss.
	Codec codec.Codec
	// Version names the form of T's values in Redis. Values of another Version, and of another Codec, are misses that stay for the
	// processes that use them: while two releases of a program are deployed each keeps its own hits, and gets no value in the
	// form of the other. Set, Delete, Expire, tags and Clear reach the values of all versions.
	//
	// "": a fingerprint of T: the names, types and tags of its exported fields, and of those within, and the name of each type
	// that encodes itself (MarshalJSON, MarshalBinary and the like), whose form may be another. It is the same in every build and
	// on every machine. So a release that changes a struct loads its values anew, where it would otherwise get new
	// fields as zero; one that changes only what such a type encodes, or what a field means, needs a new Version. With a
	// Version of its own a cache keeps its values across changes of T, which its Codec must then be able to read.
	Version string
	// MaxCost is the local tier's capacity, in units of Cost. A value that costs more than all of it is never in the local tier.
	// 0: 100,000 entries; with a Cost there is no such default, and New returns an error.
	MaxCost int64
	// Cost returns how much of MaxCost a value takes; less than 1 counts as 1. nil: every entry costs 1, so MaxCost counts
	// entries. A value on which it panics is in neither tier.
	Cost func(T) int64
	// Clone copies a value, with everything it refers to that may be modified. It is applied to every value that comes out of
	// the cache, and to every one that Set or a Loader gives it. nil: the local tier keeps the value that it was given, a
	// []byte with its array, and all callers get that one; it must not be modified any more.
	Clone func(T) T
	// MaxLoads limits how many loads run at a time, to protect the source: calls of a Loader, of which a batch is one. It holds for all
	// views of the cache together, in this process. A loader that hangs, or goes on after LoadTimeout, counts until it returns, so
	// loaders that never return can't use up the process's memory.
	//
	// Loads beyond the limit wait in a queue, up to 16 for each permit. Those with the most callers begin first, and among those with about
	// as many the oldest; each eighth that begins is one of those with the fewest. Further ones are shed, see [ErrOverloaded]. The
	// wait is part of LoadTimeout. A load whose callers have all given up leaves the queue; one whose callers got a stale value
	// after SoftTimeout doesn't. Background loads take no more than a quarter of the permits, and aren't begun if none is free. Hits
	// take no permit, nor do calls that wait for another process's load.
	//
	// A load that a Loader begins in the same cache, with the context that it got, doesn't wait but begins beyond the limit, since the
	// Loader keeps its permit meanwhile. (Two caches whose loaders use each other can take all of each other's permits, and
	// then wait until LoadTimeout.)
	//
	// 0: 256, which is more than most sources serve at a time, and few enough for the memory of a process: loads of 10
	// milliseconds can begin 25,600 times a second. Set it to what the source can do, such as the size of a connection pool,
	// divided by the number of processes. Negative: no limit; then up to 64 background loads run.
	MaxLoads int
	// Policy says how long values are kept. The zero Policy is a TTL of one minute.
	Policy Policy
	// Trace has functions that are called for events of the cache. nil: none.
	Trace *Trace
	// Logger gets background loads that fail, values that can't be stored or decoded, and queued changes that are lost.
	// nil: slog.Default().
	Logger *slog.Logger
}

// Policy says how long a value is kept and how it is loaded. Each zero field has the default it states; in a loader's e.Policy, which
// has the defaults already, 0 is 0 (see [Loader]). No duration but 0 is shorter than a millisecond: "TTL: 300" is 300 nanoseconds, and
// an error.
type Policy struct {
	// TTL is how long a value is fresh. 0: 1 minute.
	TTL time.Duration
	// LocalTTL limits the time that a value stays in the local tier. Without invalidation (see [Invalidation]) it is how
	// long another process's change may go unseen. 0: TTL.
	LocalTTL time.Duration
	// NotFoundTTL is how long both tiers remember that the source has no such value. 0: not at all.
	NotFoundTTL time.Duration
	// RefreshAfter is the age from which a hit of GetOrLoad or GetOrLoadMany starts a load in the background, so that a value
	// in demand never expires. The load starts earlier by the time that the value's last load took, times a random number of
	// mean 1, and by Jitter, but not before half of RefreshAfter: so values stored together aren't loaded together ("Optimal
	// Probabilistic Cache Stampede Prevention", VLDB 2015, section 3; the number is drawn once for each copy of a value). Less
	// than TTL. 0: never.
	RefreshAfter time.Duration
	// StaleWhileRevalidate is how long past its TTL GetOrLoad and GetOrLoadMany still serve a value, at once, while a load in
	// the background replaces it. 0: not at all.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long past its TTL a value is served if the load fails or is overdue. A value that Expire made stale
	// counts. 0: not at all.
	StaleIfError time.Duration
	// RetryAfter is how long this process doesn't load a key again after a load of it failed, while there is a value to serve
	// instead: without StaleIfError, StaleWhileRevalidate or RefreshAfter it has no effect. 0: 1 second.
	RetryAfter time.Duration
	// SoftTimeout is how long a caller waits for a load before it gets the stale value, if StaleIfError or
	// StaleWhileRevalidate permits that; one of them must be set. The load goes on. Less than LoadTimeout. 0: as long as it
	// takes.
	SoftTimeout time.Duration
	// LoadTimeout bounds one load, including the time it waits for another process's load, or for a permit (see MaxLoads). Then
	// its callers get an error that is context.DeadlineExceeded, and a later result of the loader is dropped. 0: 30 seconds.
	LoadTimeout time.Duration
	// Jitter is the largest fraction of a TTL that is taken off at random, so that entries stored together don't expire
	// together. Less than 1. 0: 0.05. Negative: none.
	Jitter float64
	// StoreBehind gives the callers of a load the value before it is stored in Redis, which saves them one round trip. The
	// promises about deleted and written values still hold, and Close waits until loaded values are stored. Refresh waits
	// for the store too: later reads in this process get no older value.
	StoreBehind bool
}

// validated returns p with the defaults filled in.
func (p Policy) validated() (Policy, error) {
	for _, d := range []struct {
		field string
		value *time.Duration
		zero  time.Duration
		means string
	}{
		{"TTL", &p.TTL, defaultTTL, "1 minute"},
		{"LocalTTL", &p.LocalTTL, 0, "TTL"},
		{"NotFoundTTL", &p.NotFoundTTL, 0, "not at all"},
		{"RefreshAfter", &p.RefreshAfter, 0, "never"},
		{"StaleWhileRevalidate", &p.StaleWhileRevalidate, 0, "not at all"},
		{"StaleIfError", &p.StaleIfError, 0, "not at all"},
		{"RetryAfter", &p.RetryAfter, defaultRetryAfter, "1 second"},
		{"SoftTimeout", &p.SoftTimeout, 0, "none"},
		{"LoadTimeout", &p.LoadTimeout, defaultLoadTimeout, "30 seconds"},
	} {
		if err := checkDuration("Policy."+d.field, *d.value, d.means); err != nil {
			return p, err
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if !(p.Jitter < 1) { // also refuses NaN
		return p, fmt.Errorf("tiered: Policy.Jitter is %v: want less than 1 (0: %v, negative: none)", p.Jitter, defaultJitter)
	}
	if p.Jitter == 0 {
		p.Jitter = defaultJitter
	}
	return p, p.consistent()
}

// consistent returns an error if one field of a policy with its defaults keeps another from having any effect.
func (p Policy) consistent() error {
	switch {
	case p.LocalTTL > p.TTL:
		return fmt.Errorf("tiered: Policy.LocalTTL is %v and TTL is %v: want a LocalTTL of at most TTL, or 0 (TTL)", p.LocalTTL, p.TTL)
	case p.RefreshAfter >= p.TTL:
		return fmt.Errorf("tiered: Policy.RefreshAfter is %v and TTL is %v: want a RefreshAfter of less than TTL, or 0 (never)", p.RefreshAfter, p.TTL)
	case p.SoftTimeout > 0 && p.StaleIfError == 0 && p.StaleWhileRevalidate == 0:
		return fmt.Errorf("tiered: Policy.SoftTimeout is %v, and StaleIfError and StaleWhileRevalidate are 0: "+
			"want one of these, for there to be a stale value to serve, or a SoftTimeout of 0 (none)", p.SoftTimeout)
	case p.SoftTimeout >= p.LoadTimeout:
		return fmt.Errorf("tiered: Policy.SoftTimeout is %v and LoadTimeout is %v: want a SoftTimeout of less than LoadTimeout, or 0 (none)",
			p.SoftTimeout, p.LoadTimeout)
	}
	return nil
}

// minDuration is the shortest duration of an option. A shorter one is probably a number that was meant to be in seconds.
const minDuration = record.MinTTL

// checkDuration returns an error if d is invalid for the field. zero says what 0 means for it.
func checkDuration(field string, d time.Duration, zero string) error {
	switch {
	case d < 0:
		return fmt.Errorf("tiered: %s is %v: want 0 (%s) or more", field, d, zero)
	case 0 < d && d < minDuration:
		return fmt.Errorf("tiered: %s is %v: want 0 (%s) or at least %v; a plain number counts nanoseconds: %d seconds are %d*time.Second",
			field, d, zero, minDuration, int64(d), int64(d))
	}
	return nil
}

// ofRecords returns what the policy says about the age of records. Negative times for refreshing a value and for serving a stale one,
// which a loader may set, count as 0.
func (p *Policy) ofRecords() record.Policy {
	return record.Policy{TTL: p.TTL, LocalTTL: p.LocalTTL, NotFoundTTL: p.NotFoundTTL, Jitter: p.Jitter, Windows: wire.Windows{
		RefreshAfter: max(0, p.RefreshAfter), WhileRevalidate: max(0, p.StaleWhileRevalidate), IfError: max(0, p.StaleIfError),
	}}
}

// validated returns o with the defaults filled in.
func (o Options[T]) validated() (Options[T], error) {
	if err := validName(o.Name); err != nil {
		return o, err
	}
	switch {
	case o.MaxCost < 0:
		return o, fmt.Errorf("tiered: Options.MaxCost is %d: want 0 (%d) or more", o.MaxCost, defaultMaxCost)
	case o.MaxCost == 0 && o.Cost != nil:
		return o, errors.New("tiered: Options.MaxCost is 0, and there is a Cost: want the local tier's capacity in units of Cost")
	case o.MaxCost == 0:
		o.MaxCost = defaultMaxCost
	}
	if o.MaxLoads == 0 {
		o.MaxLoads = defaultMaxLoads
	}
	if o.Codec == nil {
		o.Codec = codec.JSON
	}
	if o.Redis != nil && !o.Redis.isMade() {
		return o, errors.New("tiered: Options.Redis is a zero Redis: want one that NewRedis made, or nil for a cache in-process only")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Name = strings.Clone(o.Name)
	var err error
	o.Policy, err = o.Policy.validated()
	return o, err
}

// codecName returns the codec's name. It is called once, so that the name in use is the one that was checked.
func codecName(c codec.Codec) (name string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("tiered: Options.Codec is a %T whose Name panics: %w", c, &codec.PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	if name = c.Name(); len(name) == 0 || len(name) > maxNameLen {
		err = fmt.Errorf("tiered: Options.Codec has the name %q: want 1 to %d bytes", name, maxNameLen)
	}
	return name, err
}

// validName returns an error if the name is invalid. It can't have a ':', which ends a name in Redis: otherwise the key "b:c" of
// a cache "a" would be the key "c" of a cache "a:b".
func validName(name string) error {
	if len(name) == 0 || len(name) > maxNameLen || !plain(name) {
		return fmt.Errorf("tiered: Options.Name is %q: want 1 to %d of letters, digits, '.', '_', '-' and '/'", name, maxNameLen)
	}
	return nil
}

// plain reports whether s has only characters that a name or prefix may have.
func plain(s string) bool {
	for _, b := range []byte(s) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '_', b == '-', b == '/':
		default:
			return false
		}
	}
	return true
}
