package codec_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/tiercache/tiercache/codec"
)

// within reports whether the value is a part of the array of data.
func within(value, data []byte) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	return at >= from && at < from+uintptr(cap(data))
}

// Raw's values are parts of the bytes that are theirs, and copies of others. What is appended to them is written elsewhere.
func TestRawAliases(t *testing.T) {
	array := []byte("value, and more behind it")
	data := array[:5]
	var copied, value []byte
	var b blob
	var s string
	var st text
	for target, decode := range map[any]func(codec.Codec, []byte, any) error{
		&copied: codec.Codec.Unmarshal, &value: codec.UnmarshalAlias, &b: codec.UnmarshalAlias, &s: codec.UnmarshalAlias, &st: codec.UnmarshalAlias,
	} {
		if err := decode(codec.Raw, data, target); err != nil {
			t.Fatal(err)
		}
	}
	for what, is := range map[string]bool{
		"Unmarshal copies":  !within(copied, array),
		"a []byte":          within(value, array),
		"a type of []byte":  within(b, array),
		"a string":          within(unsafe.Slice(unsafe.StringData(s), len(s)), array),
		"a type of string":  within(unsafe.Slice(unsafe.StringData(string(st)), len(st)), array),
		"the values":        string(copied) == "value" && string(value) == "value" && string(b) == "value" && s == "value" && st == "value",
		"appending to them": string(append(value, '!')) == "value!" && string(append(b, '!')) == "value!" && array[5] == ',',
	} {
		if !is {
			t.Error(what)
		}
	}
	for _, data := range [][]byte{nil, {}} {
		if err := codec.UnmarshalAlias(codec.Raw, data, &value); err != nil || value == nil || len(value) != 0 {
			t.Errorf("of no bytes: %#v, %v", value, err)
		}
	}
}

// Of a codec that isn't an Aliaser the values are what its Unmarshal makes.
func TestAliasOfAnyCodec(t *testing.T) {
	for _, c := range append(codecs, quoted{}) {
		data, err := c.Marshal("value")
		if err != nil {
			t.Fatal(err)
		}
		var s string
		if err := codec.UnmarshalAlias(c, data, &s); err != nil || s != "value" {
			t.Errorf("%s: %q, %v", c.Name(), s, err)
		}
		if err := codec.UnmarshalAlias(c, data, nil); err == nil {
			t.Errorf("%s: no error without a target", c.Name())
		}
	}
}

// Values stay what they are when others are decoded, whatever buffers the codecs around Raw use again.
func TestAliasesOfBuffers(t *testing.T) {
	all := withCompressing(withCompressing([]codec.Codec{codec.Raw}, 200), 200)
	for _, c := range all[:len(all):len(all)] {
		all = append(all, sealed(t, c))
	}
	for _, c := range all {
		for _, decode := range []func(codec.Codec, []byte, any) error{codec.Codec.Unmarshal, codec.UnmarshalAlias} {
			r := rand.New(rand.NewPCG(1, 2))
			var values, want [][]byte
			for i := range 50 {
				v := bytes.Repeat([]byte{byte(i)}, r.IntN(2000)) // some are compressed
				data, err := c.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				if err := decode(c, data, &got); err != nil {
					t.Fatal(c.Name(), err)
				}
				want, values = append(want, v), append(values, got)
				got = append(got, "more"...)
				clear(got[len(v):])
			}
			for i := range values {
				if !bytes.Equal(values[i], want[i]) {
					t.Errorf("%s: value %d became %.20q", c.Name(), i, values[i])
				}
			}
		}
	}
}
