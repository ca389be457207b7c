package codec_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
)

// maybe is a type whose zero value is null, and measure one of which another value is.
type maybe struct{ set *int }

func (m maybe) MarshalJSON() ([]byte, error)               { return json.Marshal(m.set) }
func (m *maybe) UnmarshalJSON(b []byte) error              { return json.Unmarshal(b, &m.set) }
func (m maybe) EncodeMsgpack(enc *msgpack.Encoder) error   { return enc.Encode(m.set) }
func (m *maybe) DecodeMsgpack(dec *msgpack.Decoder) error  { return dec.Decode(&m.set) }
func (m measure) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.Encode(m.pointer()) }
func (m measure) MarshalJSON() ([]byte, error)             { return json.Marshal(m.pointer()) }
func (m *measure) UnmarshalJSON(b []byte) error {
	return m.from(func(p any) error { return json.Unmarshal(b, p) })
}
func (m *measure) DecodeMsgpack(dec *msgpack.Decoder) error {
	return m.from(func(p any) error { return dec.Decode(p) })
}

type measure float64

func (m measure) pointer() *float64 {
	if f := float64(m); !math.IsNaN(f) {
		return &f
	}
	return nil
}

func (m *measure) from(decode func(p any) error) error {
	var f *float64
	if err := decode(&f); err != nil {
		return err
	}
	*m = measure(math.NaN())
	if f != nil {
		*m = measure(*f)
	}
	return nil
}

// What null is to a type: a value that is encoded as null, or an error.
func TestNull(t *testing.T) {
	type bare struct{ A int }
	for _, check := range []struct {
		codec codec.Codec
		null  []string
	}{
		{codec.JSON, []string{"null", " null\r\n", "\tnull "}},
		{codec.Msgpack, []string{"\xc0"}},
		{codec.Zstd(codec.JSON, 0), []string{"\x00null", "\x00null\n"}},
		{codec.S2(codec.Msgpack, 0), []string{"\x00\xc0"}},
	} {
		for _, null := range check.null {
			for _, target := range []any{new(bare), new(int), new(string), new(bool), new(float64), new([2]int), new(time.Time), new(user), new(shout)} {
				if err := check.codec.Unmarshal([]byte(null), target); err == nil {
					t.Errorf("%s: %q decoded into a %T", check.codec.Name(), null, target)
				}
			}
			for _, target := range []any{new(*bare), new(**bare), new([]int), new([]byte), new(map[string]int), new(any), new(maybe), new(*time.Time)} {
				if err := check.codec.Unmarshal([]byte(null), target); err != nil || !reflect.ValueOf(target).Elem().IsZero() {
					t.Errorf("%s: %q into a %T: %+v, %v", check.codec.Name(), null, target, target, err)
				}
			}
			m := measure(1)
			err := check.codec.Unmarshal([]byte(null), &m)
			if json := check.codec.Name() != "msgpack" && check.codec.Name() != "s2(msgpack)"; json && (err != nil || fmt.Sprint(m) != "NaN") {
				t.Errorf("%s: %q into a measure: %v, %v", check.codec.Name(), null, m, err)
			} else if !json && err == nil { // the library doesn't ask the type, and makes it 0
				t.Errorf("%s: %q into a measure: %v", check.codec.Name(), null, m)
			}
		}
	}
}
