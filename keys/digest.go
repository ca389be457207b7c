package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"time"
)

// Digest returns a digest of v: 32 hexadecimal digits, the first 128 bits of a SHA-256. Different values have different
// digests, and a value has the same digest in every process and version of Go. Use it for keys made of many fields:
// Join("search", Digest(options)).
//
// The digest depends on the content:
//
//   - It depends on kinds, not on names of types: int(1), int64(1) and "1" differ, and a Celsius of 1.5 equals a float64 of 1.5.
//   - It depends on the names of struct fields, not on their order; unexported ones are included, fields named _ aren't. So adding or
//     renaming a field changes the digest, and a change inside a type of another package may change it, too.
//   - A pointer or an interface is digested as the value that it holds. All nil ones are equal.
//   - Nil slices and maps differ from empty ones, but don't depend on their element types. Arrays differ from slices, and a
//     []byte that isn't nil from other slices.
//   - The order of a map doesn't matter.
//   - A time is digested as its instant: location and monotonic clock don't matter.
//   - Floats are digested as their bits: 0 and -0 differ. All NaNs are equal.
//
// Digest panics on values that can't be a key, which is a mistake in the program: channels, functions and unsafe pointers, even nil
// ones, and values nested over 10,000 deep, such as a pointer to itself.
func Digest(v any) string {
	var space [512]byte
	d := digester{buf: append(space[:0], digestVersion)}
	d.value(reflect.ValueOf(v), 0)
	sum := sha256.Sum256(d.buf)
	return hex.EncodeToString(sum[:16])
}

const (
	digestVersion  = 1 // changes when the encoding does
	maxDigestDepth = 10_000
)

// Each value is encoded as a tag, its length unless the tag implies it, and its content. No encoding is a prefix of another.
const (
	tagNil     = 'n'
	tagBool    = 'b'
	tagString  = 's'
	tagBytes   = 'y'
	tagSlice   = 'l'
	tagNoSlice = 'L'
	tagArray   = 'a'
	tagMap     = 'm'
	tagNoMap   = 'M'
	tagStruct  = 't'
	tagTime    = 'T'
)

// numberTags has the tag of each kind of number.
var numberTags = map[reflect.Kind]byte{
	reflect.Int: '0', reflect.Int8: '1', reflect.Int16: '2', reflect.Int32: '3', reflect.Int64: '4',
	reflect.Uint: '5', reflect.Uint8: '6', reflect.Uint16: '7', reflect.Uint32: '8', reflect.Uint64: '9', reflect.Uintptr: 'p',
	reflect.Float32: 'f', reflect.Float64: 'F', reflect.Complex64: 'c', reflect.Complex128: 'C',
}

var timeType = reflect.TypeFor[time.Time]()

// digester writes the canonical encoding of a value to buf.
type digester struct {
	buf []byte
}

func (d *digester) value(v reflect.Value, depth int) {
	if !v.IsValid() { // nil, or the element of a nil pointer
		d.tag(tagNil)
		return
	}
	if depth > maxDigestDepth {
		panic(fmt.Sprintf("keys: Digest: a %v is cyclic, or nested over %d deep", v.Type(), maxDigestDepth))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		d.value(v.Elem(), depth+1)
	case reflect.Bool:
		d.tag(tagBool)
		d.bool(v.Bool())
	case reflect.String:
		d.tag(tagString)
		d.string(v.String())
	case reflect.Slice:
		d.slice(v, depth)
	case reflect.Array:
		d.tag(tagArray)
		d.elements(v, depth)
	case reflect.Map:
		d.mapping(v, depth)
	case reflect.Struct:
		d.structure(v, depth)
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		panic(fmt.Sprintf("keys: Digest: a %v is no data", v.Type()))
	default:
		d.number(v)
	}
}

func (d *digester) number(v reflect.Value) {
	d.tag(numberTags[v.Kind()])
	switch {
	case v.CanInt():
		d.uint64(uint64(v.Int()))
	case v.CanUint():
		d.uint64(v.Uint())
	case v.CanFloat():
		d.float(v.Float())
	default:
		d.float(real(v.Complex()))
		d.float(imag(v.Complex()))
	}
}

// float replaces all NaNs by one, because the sign of a computed NaN depends on the processor.
func (d *digester) float(f float64) {
	if f != f {
		d.uint64(math.Float64bits(math.NaN()))
		return
	}
	d.uint64(math.Float64bits(f))
}

func (d *digester) time(t time.Time) {
	d.tag(tagTime)
	d.uint64(uint64(t.Unix()))
	d.uint64(uint64(t.Nanosecond()))
}
