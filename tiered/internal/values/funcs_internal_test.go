package values

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
)

// brittle is a value that panics on all but the longest bytes, as does its cost function.
type brittle struct{ first, last byte }

func (b *brittle) UnmarshalJSON(data []byte) error {
	b.first, b.last = data[1:][0], data[7:][0]
	return nil
}

func (b *brittle) DecodeMsgpack(dec *msgpack.Decoder) error {
	data, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	return b.UnmarshalJSON(data)
}

// careless is a codec without any checks.
type careless struct{}

func (careless) Name() string                       { return "careless" }
func (careless) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (careless) Unmarshal(data []byte, v any) error { return v.(*brittle).UnmarshalJSON(data) }

// Whatever bytes are in Redis, and whatever T's methods do with them, decoding returns a value, or an error that makes a miss.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{`{"Price":0}`, `"longer"`, `0`, "", "null", "\xc0", "\x00\xa8longer..", "\x00null", "\x01\x08\x1c\"longer\""} {
		f.Add([]byte(seed))
	}
	codecs := []codec.Codec{codec.JSON, codec.Msgpack, codec.Zstd(codec.JSON, 1), codec.S2(codec.Msgpack, 1), careless{}}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range codecs {
			v := Funcs[brittle]{Codec: c, Name: c.Name(), Exited: func(error) {},
				Cost: func(b brittle) int64 { return int64(b.first) / int64(b.last-'0') }}
			var b brittle
			cost, err := v.Decode("k", data, false, &b)
			if p, ok := errors.AsType[*codec.PanicError](err); ok && len(p.Stack) == 0 {
				t.Errorf("%s: a panic without a stack: %v", c.Name(), err)
			}
			if err == nil && b.last == '0' {
				t.Errorf("%s: %q costs %d", c.Name(), data, cost)
			}
			_ = v.Try()
		}
	})
}

// A call that can't panic has no extra cost.
func TestValuesAllocateNothing(t *testing.T) {
	v := Funcs[[]byte]{Codec: codec.Raw, Name: "raw", Cost: func(b []byte) int64 { return int64(len(b)) },
		Clone: func(b []byte) []byte { return b }}
	value, payload := []byte("value"), []byte("payload")
	n := testing.AllocsPerRun(100, func() {
		if _, err := v.Weigh(&value); err != nil {
			t.Error(err)
		}
		if _, err := v.Copy(value); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("weigh and copy allocate %v times", n)
	}
	var into []byte
	n = testing.AllocsPerRun(100, func() {
		if _, err := v.Decode("k", payload, false, &into); err != nil {
			t.Error(err)
		}
	})
	if n != 1 { // the copy of the bytes
		t.Errorf("decode allocates %v times", n)
	}
}
