// Package codectest tests codecs. [Run] checks with the values of a test what caches rely on, which the comments of [codec.Codec],
// [codec.Appender], [codec.Aliaser] and [codec.Binder] say.
package codectest

import (
	"reflect"
	"testing"

	"github.com/tiercache/tiercache/codec"
)

// Options says how [Run] tests a codec of a cache of T. Values is required.
type Options[T any] struct {
	// Values are encoded and decoded: at least one. Give some of each kind that the codec treats differently, such as empty ones,
	// and ones that are long enough to be compressed. Short values are damaged at each byte, long ones at some.
	Values []T

	// Equal reports whether a decoded value is as good as the one that was encoded, which it must not change. nil:
	// reflect.DeepEqual, for which two times of one instant differ if their locations do, and which can't compare messages of
	// Protocol Buffers (proto.Equal can). The decoded value may be any that damaged bytes make: another one, or the zero value.
	Equal func(decoded, encoded T) bool
}

// Run tests the codec as caches of T use it: with pointers to values, and bound to a key if it is a [codec.Binder]. Each check is
// a subtest:
//
//   - the name doesn't change, and a cache accepts it
//   - encoding changes no value
//   - decoding what was encoded gives an equal value
//   - what Append appends to is left alone
//   - encoded bytes are the caller's: they change with nothing, and what the caller changes in them changes nothing
//   - the bytes that are decoded aren't changed, and the value doesn't refer to them
//   - UnmarshalAlias leaves the bytes alone, which may be in a longer array
//   - empty, truncated and damaged bytes, and bytes with others behind them, are errors or other values, never panics, and take no
//     memory that they only claim to need; what is decoded after them is as before
//   - a type that can't be encoded is a [*codec.TypeError]
//   - all this by several goroutines at once: use -race to find more
//
// A codec that is an Appender or an Aliaser is tested both with and without that.
func Run[T any](t *testing.T, c codec.Codec, o Options[T]) {
	t.Helper()
	if len(o.Values) == 0 {
		t.Fatal("codectest: Options.Values is empty: want at least one value")
	}
	s := newSubject(c, o)
	for _, check := range checks[T]() {
		passed := t.Run(check.name, func(t *testing.T) {
			if err := check.run(s); err != nil {
				t.Error(err)
			}
		})
		if !passed && check.basic {
			return // the other checks would say the same once more
		}
	}
}

// check is one of the checks that Run makes.
type check[T any] struct {
	name  string
	run   func(*subject[T]) error
	basic bool // the others need it
}

func checks[T any]() []check[T] {
	return []check[T]{
		{name: "name", run: name[T]},
		{name: "values stay", run: valuesStay[T]},
		{name: "round trip", run: roundTrip[T], basic: true},
		{name: "append", run: appends[T]},
		{name: "encoded bytes", run: encodedBytes[T]},
		{name: "decoded bytes", run: decodedBytes[T]},
		{name: "alias", run: aliased[T]},
		{name: "empty", run: empty[T]},
		{name: "truncated", run: truncated[T]},
		{name: "bytes behind", run: bytesBehind[T]},
		{name: "damaged", run: damaged[T]},
		{name: "type", run: wrongType[T]},
		{name: "concurrent", run: concurrent[T]},
	}
}

func newSubject[T any](c codec.Codec, o Options[T]) *subject[T] {
	s := &subject[T]{codec: c, values: o.Values, equal: o.Equal}
	if s.equal == nil {
		s.equal = func(a, b T) bool { return reflect.DeepEqual(a, b) }
	}
	return s
}
