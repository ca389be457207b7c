package codec_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
)

// Types whose methods have pointer receivers, for all the ways in which a type can say how it is encoded. Their fields alone
// would be lost: they are not exported.
type (
	byJSON    struct{ s string }
	byText    struct{ s string }
	byBinary  struct{ s string }
	byMsgpack struct{ s string }
	byBytes   struct{ s string } // msgpack.Marshaler
	textKey   string
)

func (v *byJSON) MarshalJSON() ([]byte, error)    { return json.Marshal("J" + v.s) }
func (v *byJSON) UnmarshalJSON(b []byte) error    { return v.text(b, json.Unmarshal) }
func (v *byJSON) MarshalMsgpack() ([]byte, error) { return msgpack.Marshal("J" + v.s) }
func (v *byJSON) UnmarshalMsgpack(b []byte) error { return v.text(b, msgpack.Unmarshal) }

func (v *byJSON) text(b []byte, unmarshal func([]byte, any) error) error {
	err := unmarshal(b, &v.s)
	v.s = strings.TrimPrefix(v.s, "J")
	return err
}

func (v *byText) MarshalText() ([]byte, error)     { return []byte("T" + v.s), nil }
func (v *byText) UnmarshalText(b []byte) error     { v.s = string(b[1:]); return nil }
func (v *byBinary) MarshalBinary() ([]byte, error) { return []byte("B" + v.s), nil }
func (v *byBinary) UnmarshalBinary(b []byte) error { v.s = string(b[1:]); return nil }

// JSON doesn't know MarshalBinary.
func (v *byBinary) MarshalJSON() ([]byte, error) { return json.Marshal(v.s) }
func (v *byBinary) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &v.s) }

func (v *byMsgpack) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeString("E" + v.s) }
func (v *byMsgpack) DecodeMsgpack(d *msgpack.Decoder) error {
	s, err := d.DecodeString()
	v.s = strings.TrimPrefix(s, "E")
	return err
}
func (v *byMsgpack) MarshalJSON() ([]byte, error)  { return json.Marshal(v.s) }
func (v *byMsgpack) UnmarshalJSON(b []byte) error  { return json.Unmarshal(b, &v.s) }
func (v *byBytes) MarshalMsgpack() ([]byte, error) { return msgpack.Marshal(v.s) }
func (v *byBytes) UnmarshalMsgpack(b []byte) error { return msgpack.Unmarshal(b, &v.s) }
func (v *byBytes) MarshalText() ([]byte, error)    { return []byte(v.s), nil }
func (v *byBytes) UnmarshalText(b []byte) error    { v.s = string(b); return nil }

func (k *textKey) MarshalText() ([]byte, error) { return []byte("k:" + string(*k)), nil }
func (k *textKey) UnmarshalText(b []byte) error {
	*k = textKey(strings.TrimPrefix(string(b), "k:"))
	return nil
}

// around has a V in every place where the codecs reach an addressable one.
type around[V any] struct {
	Field    V
	Pointer  *V
	Slice    []V
	Array    [2]V
	Map      map[string]*V
	Slices   map[string][]V
	Pointers []*V
	Nested   struct{ In struct{ V V } }
}

// embeds has the promoted methods of the field.
type embeds struct {
	byJSON
	Lost int
}

// places returns a value of v's type V by itself, and in every place around it, as pointers.
func places[V any](v V) []any {
	a := around[V]{Field: v, Pointer: &v, Slice: []V{v, v}, Array: [2]V{v, v}, Map: map[string]*V{"a": &v, "nil": nil},
		Slices: map[string][]V{"a": {v}}, Pointers: []*V{&v, nil}}
	a.Nested.In.V = v
	p := &v
	pp := &p
	return []any{p, pp, &pp, new(*V), &[]V{v}, new([]V), &[2]V{v, v}, &map[string]*V{"a": p}, &a, &[]around[V]{a}, &[][]V{{v}, {}}}
}

// What a cache encodes, through a pointer, it decodes to the same, wherever the methods have pointer receivers.
func TestPointerReceivers(t *testing.T) {
	u, err := url.Parse("https://example.com/a%20b?q=1#f")
	if err != nil {
		t.Fatal(err)
	}
	withUser := *u
	withUser.User = url.UserPassword("a", "b") // whose fields JSON doesn't see, and a URL has no method for JSON
	large, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	var all []any
	for _, of := range [][]any{
		places(byJSON{"x"}), places(byText{"x"}), places(byBinary{"x"}), places(byMsgpack{"x"}), places(byBytes{"x"}), places(textKey("x")),
		places(*large), places(netip.MustParseAddr("::1")), places(*u), places(embeds{byJSON: byJSON{"x"}}), plainValues(),
	} {
		all = append(all, of...)
	}
	for _, inner := range structured {
		for _, c := range append(compressing(inner, 1), inner) {
			tested := all
			if inner == codec.Msgpack {
				tested = append(places(withUser), all...)
			}
			for _, p := range tested {
				want := reflect.ValueOf(p).Elem().Interface()
				data, err := codec.Append(c, nil, p)
				whole, err2 := c.Marshal(p)
				if err != nil || err2 != nil {
					t.Errorf("%s: %T: %v, %v", c.Name(), want, err, err2)
					continue
				}
				for _, data := range [][]byte{data, whole} {
					got := reflect.New(reflect.TypeOf(p).Elem())
					if err := c.Unmarshal(data, got.Interface()); err != nil || !equal(got.Elem().Interface(), want) {
						t.Errorf("%s: %+v, %.300v; want %T %+v\n%.200q", c.Name(), got.Elem(), err, want, want, data)
					}
				}
			}
		}
	}
}

// equal compares as reflect.DeepEqual does, but for times, which lose their location.
func equal(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		return t.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

// plainValues are pointers to values of types without such methods.
func plainValues() []any {
	type ints []int
	n, s, at := 1, "s", time.Unix(1_700_000_000, 5)
	var null any
	text := any("text")
	return []any{
		&n, ptr(int64(1 << 40)), ptr(int8(-1)), ptr(int16(-300)), ptr(int32(70_000)), ptr(uint(5)), ptr(uint8(200)), ptr(uint16(300)), ptr(uint32(1 << 31)),
		ptr(uint64(1 << 63)), ptr(true), ptr(1.5), ptr(float32(1.5)), &s, ptr([]byte("b")), ptr([2]byte{1, 2}), ptr(time.Second), &at, new(time.Time),
		ptr(ints{1}), ptr([]string{"a"}), ptr(map[string]string{"a": "b"}), ptr(map[string]bool{"a": true}), ptr(map[string]any{"a": "b"}),
		ptr(map[int]string{1: "a"}), new(map[string]float64), new([]int), &null, &text, ptr(any(true)), ptr(struct{}{}),
		ptr(user{ID: 1, Tags: []string{"a"}}), ptr(address{Street: "s", Zip: &n}), ptr(maybe{}), ptr(maybe{&n}), ptr(json.Number("15")),
		ptr(json.RawMessage(`{"a":1}`)),
	}
}

func ptr[T any](v T) *T { return &v }

// The pointer changes no byte of what was encoded before.
func TestPointersChangeNoBytes(t *testing.T) {
	for _, c := range withCompressing(structured, 1) {
		for _, p := range plainValues() {
			v := reflect.ValueOf(p).Elem().Interface()
			want, err := c.Marshal(v)
			got, err2 := c.Marshal(p)
			if err != nil || err2 != nil || string(got) != string(want) {
				t.Errorf("%s: a %T is %q, %v; through a pointer %q, %v", c.Name(), v, want, err, got, err2)
			}
		}
	}
	for _, c := range withCompressing([]codec.Codec{codec.Raw}, 1) {
		for _, p := range []any{ptr("s"), ptr([]byte("b")), ptr(text("t")), ptr(blob("b")), ptr(""), new([]byte)} {
			v := reflect.ValueOf(p).Elem().Interface()
			want, err := c.Marshal(v)
			got, err2 := c.Marshal(p)
			if err != nil || err2 != nil || string(got) != string(want) {
				t.Errorf("%s: a %T is %q, %v; through a pointer %q, %v", c.Name(), v, want, err, got, err2)
			}
		}
	}
}

// What the libraries can't: the elements of a map, and what is in an interface, are not addressable, so that methods with
// pointer receivers are not called. JSON stores the fields, which may be nothing, and Msgpack refuses.
func TestPointerReceiversOutOfReach(t *testing.T) {
	for _, v := range []any{ptr(map[string]byJSON{"a": {"x"}}), ptr(any(map[string]any{"a": byJSON{"x"}}))} {
		if data, err := codec.JSON.Marshal(v); err != nil || string(data) != `{"a":{}}` {
			t.Errorf("JSON: %s, %v", data, err)
		}
		if data, err := codec.Msgpack.Marshal(v); err == nil || !strings.Contains(fmt.Sprint(err), "non-addressable") {
			t.Errorf("Msgpack: %q, %v", data, err)
		}
	}
}
