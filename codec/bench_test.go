package codec_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
)

// implementation is a way to encode and decode: a codec of ours, or what it is measured against.
type implementation struct {
	name      string
	marshal   func(v any) ([]byte, error)
	unmarshal func(data []byte, v any) error
}

func ours(name string, c codec.Codec) implementation {
	return implementation{name, c.Marshal, c.Unmarshal}
}

// appending encodes to the end of the same slice again and again, as into the frames of a cache.
func appending(name string, c codec.Codec) implementation {
	var buf []byte
	return implementation{name, func(v any) ([]byte, error) {
		b, err := codec.Append(c, buf[:0], v)
		buf = b
		return b, err
	}, c.Unmarshal}
}

// plainly uses a compressor in the plainest way, one value at a time.
func plainly(name string, compress func([]byte) []byte, decompress func([]byte) ([]byte, error)) implementation {
	return implementation{name, func(v any) ([]byte, error) {
		data, err := json.Marshal(v)
		return compress(data), err
	}, func(data []byte, v any) error {
		data, err := decompress(data)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, v)
	}}
}

// withGCM encodes JSON and seals it with the standard library's AES-GCM, with one key for all values.
func withGCM(b *testing.B) implementation {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		b.Fatal(err)
	}
	return plainly("gcm-library", func(d []byte) []byte { return aead.Seal(nil, nil, d, nil) }, func(d []byte) ([]byte, error) { return aead.Open(nil, nil, d, nil) })
}

func implementations(b *testing.B) []implementation {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		b.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		dec.Close()
		if err := enc.Close(); err != nil {
			b.Error(err)
		}
	})
	return []implementation{
		{"encoding-json", json.Marshal, json.Unmarshal},
		ours("JSON", codec.JSON),
		appending("JSON-append", codec.JSON),
		{"msgpack-library", msgpack.Marshal, msgpack.Unmarshal},
		ours("Msgpack", codec.Msgpack),
		appending("Msgpack-append", codec.Msgpack),
		plainly("s2-library", func(d []byte) []byte { return s2.Encode(nil, d) }, func(d []byte) ([]byte, error) { return s2.Decode(nil, d) }),
		appending("S2-JSON-append", codec.S2(codec.JSON, 0)),
		appending("S2-Msgpack-append", codec.S2(codec.Msgpack, 0)),
		plainly("zstd-library", func(d []byte) []byte { return enc.EncodeAll(d, nil) }, func(d []byte) ([]byte, error) { return dec.DecodeAll(d, nil) }),
		appending("Zstd-JSON-append", codec.Zstd(codec.JSON, 0)),
		appending("Zstd-Msgpack-append", codec.Zstd(codec.Msgpack, 0)),
		withGCM(b),
		appending("Sealed-JSON-append", sealed(b, codec.JSON)),
	}
}

// BenchmarkEncode and BenchmarkDecode hold the codecs against encoding/json, which is the floor, and against the libraries under
// them as these are mostly used. stored-B is what goes over the network to Redis.
func BenchmarkEncode(b *testing.B) {
	each(b, func(b *testing.B, impl implementation, value any, data []byte, _ func() any) {
		for b.Loop() {
			if _, err := impl.marshal(value); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "stored-B")
	})
}

func BenchmarkDecode(b *testing.B) {
	each(b, func(b *testing.B, impl implementation, _ any, data []byte, target func() any) {
		for b.Loop() {
			if err := impl.unmarshal(data, target()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func each(b *testing.B, run func(b *testing.B, impl implementation, value any, data []byte, target func() any)) {
	impls := implementations(b)
	people := people(700)
	for _, v := range []struct {
		name   string
		value  any
		target func() any
	}{
		{"1user", people[0], func() any { return new(user) }},
		{"20users", people[:20], func() any { return new([]user) }},
		{"map", loose(people[:20]), func() any { return new(map[string]any) }},
		{"nested", account{Owner: people[0], Photo: []byte(people[1].Email), Limits: map[string]float64{"day": 0.5, "hour": 1e6},
			Parent: &account{Owner: people[2]}}, func() any { return new(account) }},
		{"700users", people, func() any { return new([]user) }},
	} {
		for _, impl := range impls {
			data, err := impl.marshal(v.value)
			if err != nil {
				b.Fatal(err)
			}
			data = append([]byte(nil), data...)
			b.Run(fmt.Sprintf("value=%s/impl=%s", v.name, impl.name), func(b *testing.B) {
				b.ReportAllocs()
				run(b, impl, v.value, data, v.target)
			})
		}
	}
}

// loose are users as a map of no particular type.
func loose(us []user) map[string]any {
	m := map[string]any{"total": 20.0, "next": nil}
	for _, u := range us {
		m[u.Email] = map[string]any{"name": u.Name, "active": u.Active, "id": float64(u.ID), "tags": []any{u.Tags[0], u.Tags[1]}}
	}
	return m
}

// people are users who have less in common than those of users, so that they compress like values of real life.
func people(n int) []user {
	r := rand.New(rand.NewPCG(9, 10))
	const letters = "etaoinshrdlucmfwypvbgkjqxz"
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.IntN(1+r.IntN(len(letters)))]
		}
		return string(b)
	}
	us := users(n)
	for i := range us {
		u := &us[i]
		name := word(7)
		u.ID, u.Name, u.Email = r.Int64N(1e9), word(5)+" "+name, name+"@"+word(8)+".example.com"
		u.Created = u.Created.Add(time.Duration(r.Int64N(int64(10000 * time.Hour)))).Truncate(time.Millisecond)
		u.Tags = []string{word(4), word(6)}
	}
	return us
}
