package tiercachetest

import (
	"bytes"
	"reflect"
	"sync"
	"testing"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// watched has the values that a cache stored, and how they were encoded then.
type watched[T any] struct {
	codec codec.Codec

	mu     sync.Mutex
	stored []storedValue[T]
}

type storedValue[T any] struct {
	value   T
	encoded []byte
}

// most is how many values of a cache are watched: the first ones.
const most = 10_000

// watch makes the options' Cost watch the values, and the test fail if one of them was modified when it ends.
func watch[T any](t testing.TB, o *tiered.Options[T]) {
	if o.Clone != nil || !refers(reflect.TypeFor[T]()) {
		return
	}
	w := &watched[T]{codec: o.Codec}
	if w.codec == nil {
		w.codec = codec.JSON
	}
	cost := o.Cost
	if cost == nil {
		cost = func(T) int64 { return 1 }
		if o.MaxCost == 0 {
			o.MaxCost = 100_000
		}
	}
	o.Cost = func(value T) int64 {
		w.add(value)
		return cost(value)
	}
	t.Cleanup(func() { w.check(t) })
}

func (w *watched[T]) add(value T) {
	encoded, err := codec.Append(w.codec, nil, value)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.stored) < most {
		w.stored = append(w.stored, storedValue[T]{value, encoded})
	}
}

func (w *watched[T]) check(t testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.stored {
		now, err := codec.Append(w.codec, nil, s.value)
		if err != nil || bytes.Equal(now, s.encoded) {
			continue
		}
		t.Errorf("tiercachetest: a value of the cache was modified, which all its callers share; set Options.Clone, or copy it first\n"+
			"stored:  %.300q\nis now:  %.300q", s.encoded, now)
	}
}

// refers reports whether a value of the type refers to memory that others may modify through a copy of it.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return refers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if refers(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}
