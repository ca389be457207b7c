package codec

import (
	"encoding/json"
	"fmt"
	"sync"
)

// JSON is encoding/json: its struct tags, its rules, its limits. Its name is "json".
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

func (jsonCodec) Marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("codec: encode JSON: %w", err)
	}
	return data, nil
}

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	e := jsonEncoders.Get().(*jsonEncoder)
	e.out.b = dst
	if err := e.enc.Encode(v); err != nil {
		return nil, fmt.Errorf("codec: encode JSON: %w", err)
	}
	dst = e.out.release()
	jsonEncoders.Put(e)
	return dst[:len(dst)-1], nil // without Encode's line end
}

func (jsonCodec) Unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("codec: decode JSON: %w", err)
	}
	return nil
}
