package tiered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// values is the only caller of the options Codec, Cost and Clone, and through them of the values' methods. Their failures are
// errors of the one value: a panic becomes a *codec.PanicError, and doesn't affect a flight, a lock or the process.
//
// runtime.Goexit can't be recovered from. The first call that uses it ends its goroutine: the caller's, or that of a job, whose
// flights then fail. From then on each call runs in a goroutine of its own.
type values[T any] struct {
	codec codec.Codec
	name  string        // the codec's
	cost  func(T) int64 // nil: each value costs 1
	clone func(T) T     // nil: callers share the value
	exits atomic.Bool   // one of them has called runtime.Goexit

	cache      string // the cache's name
	stats      *counters
	trace      *Trace
	logger     *slog.Logger
	complaints redisconn.EventThrottle
}

var errExits = errors.New("it ended its goroutine with runtime.Goexit")

// encode encodes the frame with the value as its payload.
func (v *values[T]) encode(f *wire.Frame, value *T) ([]byte, error) {
	if v.exits.Load() {
		return inGoroutine("Options.Codec", func() ([]byte, error) { return v.encodeHere(f, value) })
	}
	return v.encodeHere(f, value)
}

func (v *values[T]) encodeHere(f *wire.Frame, value *T) (b []byte, err error) {
	over := false
	defer v.catch("Options.Codec", &over, &err)
	b, err = f.Encode(v.codec, value)
	over = true
	return b, err
}

// decode decodes the payload into value and returns the value's cost.
func (v *values[T]) decode(payload []byte, value *T) (cost int64, err error) {
	if v.exits.Load() {
		_, err = inGoroutine("Options.Codec", func() (struct{}, error) { return struct{}{}, v.decodeHere(payload, value) })
	} else {
		err = v.decodeHere(payload, value)
	}
	if err != nil {
		return 0, err
	}
	return v.weigh(value)
}

func (v *values[T]) decodeHere(payload []byte, value *T) (err error) {
	over := false
	defer v.catch("Options.Codec", &over, &err)
	err = v.codec.Unmarshal(payload, value)
	over = true
	return err
}

// weigh returns the value's cost.
func (v *values[T]) weigh(value *T) (int64, error) {
	switch {
	case v.cost == nil:
		return 1, nil
	case v.exits.Load():
		return inGoroutine("Options.Cost", func() (int64, error) { return v.weighHere(value) })
	}
	return v.weighHere(value)
}

func (v *values[T]) weighHere(value *T) (cost int64, err error) {
	over := false
	defer v.catch("Options.Cost", &over, &err)
	cost = v.cost(*value)
	over = true
	return cost, nil
}

// copy returns a clone of the value. It must not be called if there is no Clone.
func (v *values[T]) copy(value T) (T, error) {
	if v.exits.Load() {
		return inGoroutine("Options.Clone", func() (T, error) { return v.copyHere(value) })
	}
	return v.copyHere(value)
}

func (v *values[T]) copyHere(value T) (clone T, err error) {
	over := false
	defer v.catch("Options.Clone", &over, &err)
	clone = v.clone(value)
	over = true
	return clone, nil
}

// catch must be deferred. It turns a panic into an error, and records a Goexit.
func (v *values[T]) catch(what string, over *bool, err *error) {
	if *over {
		return
	}
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %w", what, &codec.PanicError{Value: p, Stack: debug.Stack()})
		return
	}
	if !v.exits.Swap(true) {
		v.stats.codecErrors.Add(1)
		v.log("tiered: a goroutine was ended", "", fmt.Errorf("%s: %w", what, errExits))
	}
}

// inGoroutine calls f in a goroutine of its own, which f may end.
func inGoroutine[R any](what string, f func() (R, error)) (R, error) {
	var result R
	err := fmt.Errorf("%s: %w", what, errExits)
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, err = f()
	}()
	<-done
	return result, err
}

// failed counts an error that a caller gets, and returns it.
func (v *values[T]) failed(err error) error {
	v.stats.codecErrors.Add(1)
	return err
}

// report counts, traces and logs an error that no caller gets.
func (v *values[T]) report(message, key string, err error) {
	v.stats.codecErrors.Add(1)
	if v.trace != nil && v.trace.CodecError != nil {
		v.trace.CodecError(key, err)
	}
	v.log(message, key, err)
}

// log logs the error of a value, as often as the throttle permits.
func (v *values[T]) log(message, key string, err error) {
	if log, suppressed := v.complaints.Event(mono.Now()); log {
		v.logger.LogAttrs(context.Background(), slog.LevelWarn, message, slog.String("cache", v.cache),
			slog.String("key", key), slog.Any("cause", err), slog.Int("suppressed", suppressed))
	}
}

// setting returns the key write that sets a key to the value. Its error concerns the value.
func (c *Cache[T]) setting(ctx context.Context, key string, value T, m coherence.Stamp, b *coherence.Deps) (keyWrite[T], error) {
	if c.values.clone != nil {
		var err error
		if value, err = c.values.copy(value); err != nil {
			return keyWrite[T]{}, fmt.Errorf("tiered: the value of %.100q: %w", key, err)
		}
	}
	r := recordOf(value, false, c.policy, m)
	var err error
	if r.Cost, err = c.values.weigh(&r.Value); err != nil {
		return keyWrite[T]{}, fmt.Errorf("tiered: the value of %.100q: %w", key, err)
	}
	return c.change(ctx, keyRef[T]{key: key, hash: c.hash(key)}, r, b, c.policy)
}
