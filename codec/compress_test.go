package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/tiercache/tiercache/codec"
)

func TestCompressNames(t *testing.T) {
	for want, c := range map[string]codec.Codec{
		"zstd(json)": codec.Zstd(codec.JSON, 0), "zstd(msgpack)": codec.Zstd(codec.Msgpack, 1), "s2(raw)": codec.S2(codec.Raw, 0),
		"s2(quoted)": codec.S2(quoted{}, 0), "zstd(s2(json))": codec.Zstd(codec.S2(codec.JSON, 0), 0), "s2(json)": codec.S2(nil, 0),
	} {
		if c.Name() != want {
			t.Errorf("Name() = %q, want %q", c.Name(), want)
		}
	}
}

// What is stored is the inner codec's bytes behind a 0, or one block behind a 1 that the library's own functions read.
func TestCompressFormat(t *testing.T) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	plainly := map[string]func([]byte) ([]byte, error){
		"zstd(raw)": func(b []byte) ([]byte, error) { return dec.DecodeAll(b, nil) },
		"s2(raw)":   func(b []byte) ([]byte, error) { return s2.Decode(nil, b) },
	}
	noise := make([]byte, 4<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	text := strings.Repeat("what repeats gets smaller. ", 1<<10)
	for _, check := range []struct {
		value   string
		minSize int
		tag     byte
	}{
		{"", 0, 0}, {"", 1, 0}, {"x", 1, 0}, {text[:1023], 0, 0}, {text[:1023], -1, 0}, {text[:1024], 0, 1}, {text[:99], 100, 0}, {text[:100], 100, 1},
		{text, 0, 1}, {text, len(text) + 1, 0}, {string(noise), 0, 0}, {strings.Repeat("\x00", 1<<20), 0, 1}, {strings.Repeat("\x00", 8<<20), 0, 0},
	} {
		for _, c := range compressing(codec.Raw, check.minSize) {
			data, err := c.Marshal(check.value)
			if err != nil {
				t.Fatal(err)
			}
			if data[0] != check.tag {
				t.Errorf("%s: %d bytes with a minimum of %d are stored with tag %d", c.Name(), len(check.value), check.minSize, data[0])
			}
			body := data[1:]
			if check.tag == 1 {
				if body, err = plainly[c.Name()](body); err != nil || len(data) > len(check.value) {
					t.Errorf("%s: %d bytes became %d (%v)", c.Name(), len(check.value), len(data), err)
				}
			}
			var got string
			if err := c.Unmarshal(data, &got); err != nil || got != check.value || string(body) != check.value {
				t.Errorf("%s: %d bytes came back as %d, %v", c.Name(), len(check.value), len(got), err)
			}
		}
	}
}

func TestCompressErrors(t *testing.T) {
	for _, c := range compressing(codec.Raw, 0) {
		whole, err := c.Marshal(strings.Repeat("what repeats gets smaller. ", 100))
		if err != nil {
			t.Fatal(err)
		}
		prefix := "codec: decode " + strings.TrimSuffix(c.Name(), "(raw)") + ": "
		for i, data := range []string{"", "\x01", "\x02abc", "\x01abc", `{"a":1}`, "\xff", string(whole[:len(whole)-1]), string(whole) + "x", string(whole) + string(whole[1:])} {
			var got string
			if err := c.Unmarshal([]byte(data), &got); err == nil || !strings.HasPrefix(err.Error(), prefix) {
				t.Errorf("%s, input %d: %q, %v", c.Name(), i, got, err)
			}
		}
		var typeErr *codec.TypeError
		if _, err := c.Marshal(42); !errors.As(err, &typeErr) {
			t.Errorf("%s: an int gave %v", c.Name(), err)
		}
		if err := c.Unmarshal(whole, new(int)); !errors.As(err, &typeErr) {
			t.Errorf("%s: an int gave %v", c.Name(), err)
		}
	}
}

// hostile are inputs that claim, or really decompress to, more than their size warrants.
func hostile(t testing.TB) map[string][][]byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := enc.Close(); err != nil {
			t.Error(err)
		}
	}()
	zeros := make([]byte, 64<<20)
	bomb := enc.EncodeAll(zeros, nil)
	frame := func(size uint64, blocks string) []byte {
		return append(binary.LittleEndian.AppendUint64([]byte("\x28\xb5\x2f\xfd\xe0"), size), blocks...)
	}
	const rle = "\x02\x00\x10x" // not the last block: 128 KB of x
	claims := func(blocks string) [][]byte {
		return [][]byte{frame(1<<62, blocks), frame(1<<40, blocks), frame(512<<20, blocks), frame(1<<20, blocks), frame(1, blocks), frame(0, blocks)}
	}
	frames := [][]byte{bomb, []byte("\x28\xb5\x2f\xfd\x00\xff"), []byte("\x28\xb5\x2f\xfd\x00\x88" + strings.Repeat(rle, 100)), []byte("\x50\x2a\x4d\x18\xff\xff\xff\xff")}
	frames = append(append(frames, claims("")...), claims(strings.Repeat(rle, 100))...)
	small := enc.EncodeAll(zeros[:1000], nil)
	frames = append(frames, bytes.Repeat(small, 1000), append(small, bomb...))
	blocks := [][]byte{s2.Encode(nil, zeros)}
	for _, size := range []uint64{1 << 63, 1 << 40, 1<<32 - 1, 512 << 20, 2 << 20} {
		blocks = append(blocks, binary.AppendUvarint(nil, size), append(binary.AppendUvarint(nil, size), strings.Repeat("\x00x", 100)...))
	}
	return map[string][][]byte{"zstd(raw)": frames, "s2(raw)": blocks}
}

func TestCompressClaims(t *testing.T) {
	inputs := hostile(t)
	for _, c := range compressing(codec.Raw, 0) {
		for i, block := range inputs[c.Name()] {
			data := append([]byte{1}, block...)
			limit := uint64(3<<20 + 1000*len(data)) // the decoder's own tables, the buffer and the value
			var got []byte
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := c.Unmarshal(data, &got)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > limit {
				t.Errorf("%s, input %d of %d bytes: took %d bytes and gave %d, %v", c.Name(), i, len(data), used, len(got), err)
			}
		}
	}
}

func FuzzCompressUnmarshal(f *testing.F) {
	for _, blocks := range hostile(f) {
		for _, block := range blocks {
			if len(block) < 64<<10 {
				f.Add(append([]byte{1}, block...))
			}
		}
	}
	for _, c := range compressing(codec.Raw, 10) {
		for _, v := range []string{"", "short", strings.Repeat("what repeats gets smaller. ", 100), strings.Repeat("\x00", 300_000)} {
			data, err := c.Marshal(v)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	codecs := compressing(codec.Raw, 10)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range codecs {
			var got []byte
			if err := c.Unmarshal(data, &got); err == nil && len(got) > 1<<20+1000*len(data) {
				t.Fatalf("%s: %d bytes became %d", c.Name(), len(data), len(got))
			}
			again, err := c.Marshal(data)
			if err != nil || len(again) > len(data)+1 {
				t.Fatalf("%s: %d bytes became %d, %v", c.Name(), len(data), len(again), err)
			}
			var back []byte
			if err := c.Unmarshal(again, &back); err != nil || !bytes.Equal(back, data) {
				t.Fatalf("%s: %q came back as %q, %v", c.Name(), data, back, err)
			}
		}
	})
}
