package codec_test

import (
	"testing"

	"github.com/tiercache/tiercache/codec"
)

func BenchmarkEncode(b *testing.B) {
	us := users(20)
	encoded, err := codec.JSON.Marshal(us)
	if err != nil {
		b.Fatal(err)
	}
	run := func(c codec.Codec, v any) {
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data, err := c.Marshal(v)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(data)))
			}
		})
	}
	run(codec.JSON, us)
	run(codec.Msgpack, us)
	run(codec.Raw, encoded) // users that are encoded already
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []codec.Codec{codec.JSON, codec.Msgpack} {
		data, err := c.Marshal(users(20))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				var us []user
				if err := c.Unmarshal(data, &us); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run(codec.Raw.Name(), func(b *testing.B) {
		data, err := codec.JSON.Marshal(users(20))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var body []byte
			if err := codec.Raw.Unmarshal(data, &body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
