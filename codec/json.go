package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// JSON is encoding/json, with its struct tags, rules and limits. Its name is "json".
//
//   - Unexported fields and fields with `json:"-"` are not stored.
//   - In an interface, numbers are decoded as float64, objects as map[string]any and times as strings.
//   - Times keep their instant and their offset, and lose their location's name and the monotonic clock.
//   - NaN, the infinities, channels, functions and cyclic values are errors.
//   - Elements of a map are not addressable: methods with pointer receivers aren't called on the elements of a map[string]big.Int.
//
// There are three differences: null is an error unless it decodes to a value that is encoded as null, such as a nil pointer;
// a panic of a value's method is a [*PanicError]; and a type that it can't encode is a [*TypeError].
var JSON Codec = jsonCodec{}

// Replacements for encoding/json were compared with it on Go 1.26. Each gets some values wrong:
//   - goccy/go-json 0.12.0 calls MarshalText of a **T on a wild pointer (foreign bytes, or out of memory), and encodes [1]T
//     with the methods of *T, which encoding/json doesn't.
//   - segmentio/encoding 0.5.4 ignores omitzero, drops fields of an embedded pointer with omitempty, and overflows the
//     stack on 5 MB of "[".
//   - bytedance/sonic 1.15.5 ConfigStd encodes "" differently, doesn't decode values nested over 4,096 deep, and accepts fields
//     that encoding/json rejects.
//   - go-json-experiment/json 1.27.2, its v1 package, treats encoding/json's own Number as a string: 1.5 is written as
//     "1.5", and 1.5 that another program wrote can't be read. On Go 1.27 it is another name for encoding/json, which then
//     has the same code.
//
// docs/codecs.md has the numbers.
type jsonCodec struct{}

// jsonEncoder is an encoder with its writer.
type jsonEncoder struct {
	enc *json.Encoder
	out appended
}

var jsonEncoders = sync.Pool{New: func() any {
	e := &jsonEncoder{}
	e.enc = json.NewEncoder(&e.out)
	return e
}}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(v any) (data []byte, err error) {
	defer catch("encode JSON", &err)
	if data, err = json.Marshal(v); err != nil {
		return nil, jsonError(v, err)
	}
	return data, nil
}

func (jsonCodec) Append(dst []byte, v any) (b []byte, err error) {
	defer catch("encode JSON", &err)
	e := jsonEncoders.Get().(*jsonEncoder)
	e.out.b = dst
	if err := e.enc.Encode(v); err != nil {
		return nil, jsonError(v, err)
	}
	dst = e.out.release()
	jsonEncoders.Put(e)
	return dst[:len(dst)-1], nil // without the line end that Encode writes
}

func (c jsonCodec) Unmarshal(data []byte, v any) (err error) {
	defer catch("decode JSON", &err)
	if err = json.Unmarshal(data, v); err == nil && isNull(data) {
		err = checkNull(c, "null", v)
	}
	if err != nil {
		return fmt.Errorf("codec: decode JSON: %w", err)
	}
	return nil
}

// jsonError returns the error of encoding v. An error of a value's method doesn't mean that the type can't be encoded.
func jsonError(v any, err error) error {
	if _, own := errors.AsType[*json.MarshalerError](err); !own {
		if _, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
			return &TypeError{Codec: "json", Type: reflect.TypeOf(v), Err: err}
		}
	}
	return fmt.Errorf("codec: encode JSON: %w", err)
}
