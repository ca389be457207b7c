package codec_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
)

// fuzzed has no pointers, so that two values that hold a NaN print alike.
type fuzzed struct {
	Int    int16            `json:"int" msgpack:"int"`
	Uint   uint64           `json:"uint,string" msgpack:"uint"`
	Float  float64          `json:"float" msgpack:"float"`
	Small  float32          `json:"small" msgpack:"small"`
	Text   string           `json:"text" msgpack:"text"`
	Bytes  []byte           `json:"bytes" msgpack:"bytes"`
	Time   time.Time        `json:"time" msgpack:"time"`
	List   []fuzzed         `json:"list" msgpack:"list"`
	Map    map[string]int8  `json:"map" msgpack:"map"`
	Meta   map[string]any   `json:"meta" msgpack:"meta"`
	Counts map[int32]string `json:"counts" msgpack:"counts"`
	Array  [2]bool          `json:"array" msgpack:"array"`
	Any    any              `json:"any" msgpack:"any"`
}

var structuredTargets = []reflect.Type{
	reflect.TypeFor[any](), reflect.TypeFor[fuzzed](), reflect.TypeFor[[]fuzzed](), reflect.TypeFor[map[string]any](),
	reflect.TypeFor[map[string]string](), reflect.TypeFor[[]string](), reflect.TypeFor[[]byte](), reflect.TypeFor[string](),
	reflect.TypeFor[int8](), reflect.TypeFor[float32](), reflect.TypeFor[bool](), reflect.TypeFor[time.Time](), reflect.TypeFor[[3]int](),
	reflect.TypeFor[blob](), reflect.TypeFor[text](), reflect.TypeFor[map[int8]time.Time](), reflect.TypeFor[[]any](),
	reflect.TypeFor[careless](), reflect.TypeFor[map[string]careless](), reflect.TypeFor[maybe](),
}

// checkDecodes decodes data into every target. What decodes must encode, and decode to the same again.
func checkDecodes(t *testing.T, c codec.Codec, data []byte, targets []reflect.Type) {
	t.Helper()
	input := string(data)
	for _, typ := range targets {
		first, second := reflect.New(typ), reflect.New(typ)
		if c.Unmarshal(data, first.Interface()) != nil {
			continue
		}
		if string(data) != input {
			t.Fatalf("decoding into %v changed the input", typ)
		}
		encoded, err := codec.Append(c, nil, first.Elem().Interface())
		if err != nil {
			t.Fatalf("%v decoded to %+v, which doesn't encode: %v", typ, first.Elem(), err)
		}
		if err := c.Unmarshal(encoded, second.Interface()); err != nil {
			t.Fatalf("%v was encoded as %q, which doesn't decode: %v", typ, encoded, err)
		}
		a, b := first.Elem().Interface(), second.Elem().Interface()
		if !reflect.DeepEqual(a, b) && fmt.Sprintf("%#v", a) != fmt.Sprintf("%#v", b) {
			t.Fatalf("%v became %#v, then %#v", typ, a, b)
		}
	}
}

func fuzzSeeds() []any {
	full := fuzzed{
		Int: -3, Uint: 1 << 63, Float: 1e300, Small: 0.1, Text: "text <&> é", Bytes: []byte{0, 255}, Time: time.Unix(1_700_000_000, 0xdf<<22).UTC(),
		Map: map[string]int8{"a": 1}, Meta: map[string]any{"k": []any{1.5, nil}}, Counts: map[int32]string{-1: "x"}, Any: "any",
	}
	full.List = []fuzzed{full}
	return []any{nil, true, 1, -1.5, "text", []byte("bytes"), []string{"a", ""}, users(2), full, time.Unix(1, 2).UTC(), map[string]string{"k": "v"}}
}

func FuzzJSONUnmarshal(f *testing.F) {
	for _, v := range fuzzSeeds() {
		data, err := codec.JSON.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	targets := append(structuredTargets, reflect.TypeFor[measure]()) // under msgpack its NaN becomes 0
	f.Fuzz(func(t *testing.T, data []byte) { checkDecodes(t, codec.JSON, data, targets) })
}

func FuzzMsgpackUnmarshal(f *testing.F) {
	for _, v := range fuzzSeeds() {
		data, err := codec.Msgpack.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add([]byte("\x81\xa4meta\xc7\x05\xff\xdf\xff\xff\xff\xff"))
	f.Add([]byte("\x81\x90\x01"))
	targets := append(structuredTargets, reflect.TypeFor[map[any]any](), reflect.TypeFor[[]fmt.Stringer](), reflect.TypeFor[*fuzzed]())
	f.Fuzz(func(t *testing.T, data []byte) { checkDecodes(t, codec.Msgpack, data, targets) })
}

func FuzzRawUnmarshal(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("abc\xff"))
	targets := []reflect.Type{reflect.TypeFor[[]byte](), reflect.TypeFor[string](), reflect.TypeFor[blob](), reflect.TypeFor[text]()}
	f.Fuzz(func(t *testing.T, data []byte) { checkDecodes(t, codec.Raw, data, targets) })
}
