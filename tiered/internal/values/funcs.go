package values

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// Funcs calls the options Codec, Cost and Clone of a cache. Codec, Name and Exited must be set.
type Funcs[T any] struct {
	Codec  codec.Codec
	Name   string        // the codec's
	Cache  string        // the cache's name
	Schema uint64        // of T, see SchemaOf
	Cost   func(T) int64 // nil: each value costs 1
	Clone  func(T) T     // nil: callers share the value
	// Exited is called once, when one of them has called runtime.Goexit.
	Exited func(error)

	exits atomic.Bool // one of them has called runtime.Goexit
}

var errExits = errors.New("it ended its goroutine with runtime.Goexit")

// Encode encodes the frame with the key's value as its payload.
func (v *Funcs[T]) Encode(f *wire.Frame, key string, value *T) ([]byte, error) {
	if v.exits.Load() {
		held := *f // so that f needn't be on the heap otherwise
		return inGoroutine("Options.Codec", func() ([]byte, error) { return v.encodeHere(&held, key, value) })
	}
	return v.encodeHere(f, key, value)
}

func (v *Funcs[T]) encodeHere(f *wire.Frame, key string, value *T) (b []byte, err error) {
	over := false
	defer v.catch("Options.Codec", &over, &err)
	b, err = f.Encode(codec.Bind(v.Codec, v.Cache, key), value)
	over = true
	return b, err
}

// Decode decodes the payload under a key into value and returns the value's cost. With own, the value may refer to the payload's memory,
// which nobody else uses then.
func (v *Funcs[T]) Decode(key string, payload []byte, own bool, value *T) (cost int64, err error) {
	if v.exits.Load() {
		_, err = inGoroutine("Options.Codec", func() (struct{}, error) { return struct{}{}, v.decodeHere(key, payload, own, value) })
	} else {
		err = v.decodeHere(key, payload, own, value)
	}
	if err != nil {
		return 0, err
	}
	return v.Weigh(value)
}

func (v *Funcs[T]) decodeHere(key string, payload []byte, own bool, value *T) (err error) {
	over := false
	defer v.catch("Options.Codec", &over, &err)
	if c := codec.Bind(v.Codec, v.Cache, key); own {
		err = codec.UnmarshalAlias(c, payload, value)
	} else {
		err = c.Unmarshal(payload, value)
	}
	over = true
	return err
}

// Weigh returns the value's cost.
func (v *Funcs[T]) Weigh(value *T) (int64, error) {
	switch {
	case v.Cost == nil:
		return 1, nil
	case v.exits.Load():
		return inGoroutine("Options.Cost", func() (int64, error) { return v.weighHere(value) })
	}
	return v.weighHere(value)
}

func (v *Funcs[T]) weighHere(value *T) (cost int64, err error) {
	over := false
	defer v.catch("Options.Cost", &over, &err)
	cost = v.Cost(*value)
	over = true
	return cost, nil
}

// Copy returns a clone of the value. It must not be called if there is no Clone.
func (v *Funcs[T]) Copy(value T) (T, error) {
	if v.exits.Load() {
		return inGoroutine("Options.Clone", func() (T, error) { return v.copyHere(value) })
	}
	return v.copyHere(value)
}

func (v *Funcs[T]) copyHere(value T) (clone T, err error) {
	over := false
	defer v.catch("Options.Clone", &over, &err)
	clone = v.Clone(value)
	over = true
	return clone, nil
}

// catch must be deferred. It turns a panic into an error, and records a Goexit.
func (v *Funcs[T]) catch(what string, over *bool, err *error) {
	if *over {
		return
	}
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %w", what, &codec.PanicError{Value: p, Stack: debug.Stack()})
		return
	}
	if !v.exits.Swap(true) {
		v.Exited(fmt.Errorf("%s: %w", what, errExits))
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
