package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/codec"
)

// sealKey returns a key with the id, whose secret is 32 times the byte.
func sealKey(id string, secret byte) codec.SealKey {
	return codec.SealKey{ID: id, Secret: bytes.Repeat([]byte{secret}, 32)}
}

// sealed returns the codec that seals what inner encodes for the key "42" of the cache "users".
func sealed(t testing.TB, inner codec.Codec, keys ...codec.SealKey) codec.Codec {
	t.Helper()
	if len(keys) == 0 {
		keys = []codec.SealKey{sealKey("2026", 7)}
	}
	c, err := codec.Sealed(inner, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return codec.Bind(c, "users", "42")
}

func TestSealedNames(t *testing.T) {
	for want, inner := range map[string]codec.Codec{"sealed(json)": nil, "sealed(zstd(msgpack))": codec.Zstd(codec.Msgpack, 0)} {
		if got := sealed(t, inner).Name(); got != want {
			t.Errorf("Name() = %q, want %q", got, want)
		}
	}
}

// A sealed value shows nothing of the value but its length, and is another one each time.
func TestSealedHides(t *testing.T) {
	c := sealed(t, codec.Raw)
	value := strings.Repeat("secret", 100)
	first, err := c.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	second, err := codec.Append(c, []byte("before"), value)
	if err != nil || !bytes.HasPrefix(second, []byte("before")) {
		t.Fatal(err)
	}
	second = second[len("before"):]
	if len(first) != len(value)+1+len("2026")+24+16 || len(second) != len(first) {
		t.Errorf("%d and %d bytes", len(first), len(second))
	}
	head := 1 + len("2026")
	for i := range first[head:] {
		if end := min(head+i+8, len(first)); end == head+i+8 && bytes.Equal(first[head+i:end], second[head+i:end]) {
			t.Errorf("the bytes from %d on are the same twice", head+i)
		}
	}
	if bytes.Contains(first, []byte("secret")) {
		t.Error("the value is there to read")
	}
}

// A value is opened for the cache, the key and the codec that it was sealed for, and in no other place.
func TestSealedIsBound(t *testing.T) {
	key := sealKey("a", 1)
	of := func(inner codec.Codec, cache, name string) codec.Codec {
		c, err := codec.Sealed(inner, key)
		if err != nil {
			t.Fatal(err)
		}
		return codec.Bind(c, cache, name)
	}
	data, err := of(codec.JSON, "users", "42").Marshal("value")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []codec.Codec{
		of(codec.JSON, "users", "43"), of(codec.JSON, "user", "s42"), of(codec.JSON, "user", "42"), of(codec.JSON, "", "users42"),
		of(codec.JSON, "users4", "2"), of(codec.Raw, "users", "42"), sealed(t, codec.JSON, sealKey("a", 2)), sealed(t, codec.JSON, sealKey("b", 1)),
	} {
		var got string
		if err := c.Unmarshal(data, &got); err == nil || !strings.HasPrefix(err.Error(), "codec: open sealed(") || got != "" {
			t.Errorf("opened: %q, %v", got, err)
		}
	}
	var got string
	if err := of(codec.JSON, "users", "42").Unmarshal(data, &got); err != nil || got != "value" {
		t.Errorf("%q, %v", got, err)
	}
	for i := range data {
		for _, changed := range [][]byte{data[:i], append(bytes.Clone(data[:i]), append([]byte{data[i] ^ 1}, data[i+1:]...)...)} {
			if err := of(codec.JSON, "users", "42").Unmarshal(changed, &got); err == nil {
				t.Errorf("opened %x", changed)
			}
		}
	}
	if err := of(codec.JSON, "users", "42").Unmarshal(append(data, 0), &got); err == nil {
		t.Error("opened with a byte more")
	}
}

// Processes with the old key behind the new one, and those with the new key behind the old one, read each other's values.
func TestSealedKeysRotate(t *testing.T) {
	old, next := sealKey("old", 1), sealKey("next", 2)
	var steps []codec.Codec
	for _, keys := range [][]codec.SealKey{{old}, {old, next}, {next, old}, {next}} {
		steps = append(steps, sealed(t, codec.Raw, keys...))
	}
	for i, writer := range steps {
		data, err := writer.Marshal("value")
		if err != nil {
			t.Fatal(err)
		}
		for j, reader := range steps {
			var got string
			err := reader.Unmarshal(data, &got)
			if near := max(i-j, j-i) < 2; near && (err != nil || got != "value") {
				t.Errorf("step %d reads what step %d wrote as %q, %v", j, i, got, err)
			}
		}
	}
}

func TestSealedOptions(t *testing.T) {
	good := sealKey("a", 1)
	for want, keys := range map[string][]codec.SealKey{
		"no key":                   nil,
		`ID ""`:                    {good, sealKey("", 2)},
		`want 1 to 255`:            {sealKey(strings.Repeat("x", 256), 1)},
		`"b" has a Secret of 16`:   {good, {ID: "b", Secret: make([]byte, 16)}},
		`"c" has a Secret of 0`:    {{ID: "c"}},
		`two keys with the ID "a"`: {good, sealKey("a", 2)},
	} {
		if c, err := codec.Sealed(codec.JSON, keys...); err == nil || c != nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "codec: ") {
			t.Errorf("want an error with %q, got %v, %v", want, c, err)
		}
	}
}

// Without a key nothing can be sealed: neither by the codec itself, nor by another that wraps it and knows no keys.
func TestSealedUnbound(t *testing.T) {
	c, err := codec.Sealed(codec.JSON, sealKey("a", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []codec.Codec{c, codec.Zstd(c, 0)} {
		var wrong *codec.TypeError
		_, err := c.Marshal(1)
		if !errors.As(err, &wrong) {
			t.Errorf("%s: Marshal: %v", c.Name(), err)
		}
	}
	if err := c.Unmarshal([]byte{1}, new(int)); err == nil {
		t.Error("Unmarshal without a key")
	}
}

// Whatever bytes are in Redis, nothing is opened but what was sealed.
func FuzzSealed(f *testing.F) {
	c := sealed(f, codec.JSON)
	data, err := c.Marshal("value")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{data, data[:len(data)-1], nil, {0}, {255}, append([]byte{4}, "2026"...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got string // the seeds are of another process, so they have another nonce than data
		if err := c.Unmarshal(b, &got); err == nil && got != "value" {
			t.Errorf("opened %x: %q", b, got)
		}
	})
}

func ExampleSealed() {
	// From a secret store, in hexadecimal or base64.
	newest, former := codec.SealKey{ID: "2026-11", Secret: make([]byte, 32)}, codec.SealKey{ID: "2026-05", Secret: make([]byte, 32)}

	c, err := codec.Sealed(codec.Zstd(codec.JSON, 0), newest, former)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Name()) // it is the Options.Codec of a cache
	// Output: sealed(zstd(json))
}
