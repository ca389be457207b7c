package codec

import (
	"reflect"
	"unsafe"
)

// Raw stores bytes unchanged: values are []byte, string, types based on them (type HTML string, json.RawMessage), or
// pointers to these.
// Encoding and decoding copy the bytes, but as an [Aliaser] it decodes without a copy. A nil []byte is stored as an empty value,
// and an empty value decodes to an empty, non-nil []byte or to "". Any other type is a [*TypeError]. Its name is "raw".
var Raw Codec = rawCodec{}

var byteType = reflect.TypeFor[byte]()

type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (c rawCodec) Marshal(v any) ([]byte, error) { return c.Append([]byte{}, v) }

func (rawCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return append(dst, v...), nil
	case string:
		return append(dst, v...), nil
	case *[]byte:
		if v != nil {
			return append(dst, *v...), nil
		}
	case *string:
		if v != nil {
			return append(dst, *v...), nil
		}
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	switch {
	case isString(rv):
		return append(dst, rv.String()...), nil
	case isBytes(rv):
		return append(dst, rv.Bytes()...), nil
	}
	return nil, &TypeError{Codec: "raw", Type: reflect.TypeOf(v)}
}

func (c rawCodec) Unmarshal(data []byte, v any) error {
	return c.UnmarshalAlias(append([]byte{}, data...), v)
}

// UnmarshalAlias implements [Aliaser]. A value's capacity ends with it, so that what its owner appends is written elsewhere.
func (rawCodec) UnmarshalAlias(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return &TypeError{Codec: "raw", Type: reflect.TypeOf(v)}
	}
	if data = data[:len(data):len(data)]; data == nil {
		data = []byte{}
	}
	switch p := v.(type) {
	case *[]byte:
		*p = data
		return nil
	case *string:
		*p = asString(data)
		return nil
	}
	elem := rv.Elem()
	switch {
	case isString(elem):
		elem.SetString(asString(data))
	case isBytes(elem):
		elem.SetBytes(data)
	default:
		return &TypeError{Codec: "raw", Type: reflect.TypeOf(v)}
	}
	return nil
}

// asString returns a string that refers to b, which nobody changes.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func isString(v reflect.Value) bool { return v.Kind() == reflect.String }

func isBytes(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem() == byteType
}
