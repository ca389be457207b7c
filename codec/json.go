package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// JSON is encoding/json: its struct tags, its rules, its limits. Its name is "json".
//
//   - Unexported fields are not stored, nor what `json:"-"` leaves out.
//   - In an interface, numbers come back as float64, objects as map[string]any and times as strings.
//   - Times keep their instant and their offset, and lose their location's name and the monotonic clock.
//   - NaN, the infinities, channels, functions and cyclic values are errors.
//   - Elements of a map are not addressable: methods with pointer receivers aren't called on those of a map[string]big.Int.
//
// It differs in three points: null is an error unless it decodes to a value that is encoded as null, such as a nil pointer; and
// a panic of a value's method is a [*PanicError]. A type that it can't encode is a [*TypeError].
var JSON Codec = jsonCodec{}

// What takes encoding/json's place was held against it on Go 1.26. Each gets some value wrong:
//   - goccy/go-json 0.12.0 calls MarshalText of a **T on a wild pointer (foreign bytes, or out of memory), and encodes [1]T
//     with the methods of *T, which encoding/json doesn't.
//   - segmentio/encoding 0.5.4 ignores omitzero, drops fields of an embedded pointer with omitempty, and dies of a stack
//     overflow on 5 MB of "[".
//   - bytedance/sonic 1.15.5 ConfigStd writes "" in other bytes, decodes nothing nested over 4,096 deep, and accepts fields
//     that encoding/json refuses.
//   - go-json-experiment/json 1.27.2, its v1 package, takes encoding/json's own Number for a string: 1.5 is written as
//     "1.5", and what another program wrote as 1.5 isn't read. On Go 1.27 it is another name for encoding/json, which is
//     then made of the same code.
//
// docs/performance.md has the numbers.
type jsonCodec struct{}

// jsonEncoder is an encoder with what it writes to.
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
	return dst[:len(dst)-1], nil // without Encode's line end
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

// jsonError is the error of encoding v. What a method of the value's returned says nothing of its type.
func jsonError(v any, err error) error {
	if _, own := errors.AsType[*json.MarshalerError](err); !own {
		if _, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
			return &TypeError{Codec: "json", Type: reflect.TypeOf(v), Err: err}
		}
	}
	return fmt.Errorf("codec: encode JSON: %w", err)
}
