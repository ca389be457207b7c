package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

var loaded = Frame{Codec: "json", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Took: 1234 * time.Millisecond, Payload: []byte(`{"id":7}`)}

// vectors are the frames of testdata/frames.txt, by name.
var vectors = map[string]Frame{
	"json":      {Codec: "json", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Payload: []byte(`{"id":7}`)},
	"not found": {NotFound: true, Codec: "json", Created: time.UnixMilli(1_700_000_000_123), FreshFor: 5 * time.Second},
	"tags": {ID: 0x0102030405060708, Codec: "msgpack", Created: time.UnixMilli(1), FreshFor: time.Millisecond,
		Epoch: coherence.EpochID{1, 2, 3, 4, 5, 6, 7, 255}, Seq: 300, Tags: []string{"admins", "users", "é"}, Payload: []byte{0xc0}},
	"expired": {Expired: true, ID: 1, Codec: "json", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Payload: []byte(`{"id":7}`)},
	"windows": {Codec: "json", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Payload: []byte(`{"id":7}`),
		Windows: &Windows{RefreshAfter: 30 * time.Second, WhileRevalidate: 10 * time.Second, IfError: time.Hour}},
	"schema": {Schema: 0x0102030405060708, Kept: 10 * time.Second, Codec: "json", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Payload: []byte(`{"id":7}`)},
	"two releases": {ID: 2, Schema: 0x0102030405060708, Codec: "json", Created: time.UnixMilli(1_700_000_000_456), FreshFor: time.Minute, Payload: []byte(`{"id":7}`),
		Oldest: time.UnixMilli(1_699_999_998_889), Others: loaded.append(nil)},
	"loaded": loaded,
	"empty":  {Codec: "raw", Created: time.UnixMilli(0), FreshFor: 24 * time.Hour * 365, Payload: []byte{}},
}

// append adds f's bytes to b, which must be empty.
func (f *Frame) append(b []byte) []byte {
	return append(seal(append(f.appendHeader(b), f.Payload...)), f.Others...)
}

func TestFrameVectors(t *testing.T) {
	file, err := os.Open("testdata/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		name, digits, _ := strings.Cut(lines.Text(), ": ")
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		want, ok := vectors[name]
		if !ok {
			t.Fatalf("unknown vector %q", name)
		}
		seen++
		if got, err := ParseFrame(b); err != nil || !sameFrame(got, want) {
			t.Errorf("%s: parsed %+v, %v; want %+v", name, got, err, want)
		}
		if got := want.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: made %x, want %x", name, got, b)
		}
		if got, err := want.Encode(codec.Raw, want.Payload); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: encoded %x, %v; want %x", name, got, err, b)
		}
	}
	if seen != len(vectors) {
		t.Errorf("%d vectors in the file, want %d", seen, len(vectors))
	}
}

func sameFrame(a, b Frame) bool {
	return a.Schema == b.Schema && a.Kept == b.Kept && a.Oldest.Equal(b.Oldest) && bytes.Equal(a.Others, b.Others) && a.Expired == b.Expired && a.ID == b.ID && a.Epoch == b.Epoch && a.Seq == b.Seq &&
		a.NotFound == b.NotFound && a.Codec == b.Codec && a.Created.Equal(b.Created) && a.FreshFor == b.FreshFor && a.Took == b.Took &&
		reflect.DeepEqual(a.Windows, b.Windows) && slices.Equal(a.Tags, b.Tags) && bytes.Equal(a.Payload, b.Payload)
}

// No byte of a frame can be lost, changed or added without notice. Those of the frames that follow are checked when they are read.
func TestFrameDamage(t *testing.T) {
	for name, f := range vectors {
		whole := f.append(nil)
		for i := range whole[:len(whole)-len(f.Others)] {
			if _, err := ParseFrame(whole[:i]); err == nil {
				t.Errorf("%s: cut at %d", name, i)
			}
			if i == ExpiredAt {
				continue // whatever it is, the value is expired
			}
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << (i % 8)
			if _, err := ParseFrame(damaged); err == nil {
				t.Errorf("%s: byte %d changed", name, i)
			}
		}
		if _, err := ParseFrame(append(bytes.Clone(whole), 0)); err == nil && f.Others == nil {
			t.Errorf("%s: a byte added", name)
		}
	}
}

// sealed makes the checksum right, so that what is behind it is tested.
func sealed(body []byte) []byte {
	b := append([]byte{0xc1, 't', 'c', FrameVersion, 0, 0, 0, 0, 0}, body...)
	if own, _ := cutFrame(b); own != nil {
		binary.BigEndian.PutUint32(b[ExpiredAt+1:], crc32.Checksum(own[frameSummed:], castagnoli))
	}
	return b
}

func TestFrameOfOthers(t *testing.T) {
	good := vectors["json"].body()
	id, era := make([]byte, 8), make([]byte, 8)
	for name, body := range map[string][]byte{
		"an unknown flag":             slices.Concat(id, []byte{2}, good[9:]),
		"two flags":                   slices.Concat(id, []byte{3}, good[9:]),
		"fresh for no time":           slices.Concat(id, []byte{0, 1, 'j', 1, 0, 0}, era, []byte{0, 0}),
		"fresh for over 292 years":    slices.Concat(id, []byte{0, 1, 'j', 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}, era, []byte{0, 0}),
		"loaded for over 292 years":   slices.Concat(id, []byte{0, 1, 'j', 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, era, []byte{0, 0}),
		"a number of over 64 bits":    slices.Concat(id, []byte{0, 1, 'j', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0}, era, []byte{0, 0}),
		"a codec longer than all":     slices.Concat(id, []byte{0, 0xff, 0xff, 0xff, 0x7f, 'j', 1, 1, 0}, era, []byte{0, 0}),
		"an era that ends too soon":   slices.Concat(id, []byte{0, 1, 'j', 1, 1, 0}, era[:7]),
		"more tags than bytes":        slices.Concat(id, []byte{0, 1, 'j', 1, 1, 0}, era, []byte{0, 0xff, 0xff, 0xff, 0x7f, 0}),
		"tags that end in the middle": slices.Concat(id, []byte{0, 1, 'j', 1, 1, 0}, era, []byte{0, 2, 1, 'a'}),
		"an id alone":                 id,
		"nothing":                     {},
	} {
		if f, err := ParseFrame(sealed(body)); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if _, err := ParseFrame(sealed(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Whoever wrote the tags, they are a set: in what order they are, and how often, doesn't matter.
func TestTagsOfAnotherWriter(t *testing.T) {
	tags := vectors["tags"].Tags
	many := make([]string, MaxTags+1)
	for i := range many {
		many[i] = fmt.Sprintf("tag %03d", i)
	}
	for name, c := range map[string]struct{ given, want []string }{
		"unsorted":       {[]string{tags[2], tags[0], tags[1]}, tags},
		"twice":          {slices.Concat(tags, tags), tags},
		"the most":       {many[:MaxTags], many[:MaxTags]},
		"the most twice": {slices.Concat(many[:MaxTags], many[:MaxTags]), many[:MaxTags]},
		"too many":       {many, nil},
		"empty":          {[]string{"a", ""}, nil},
		"too long":       {[]string{strings.Repeat("x", MaxTagLen+1)}, nil},
	} {
		f := vectors["tags"]
		f.Tags = c.given
		got, err := ParseFrame(f.append(nil))
		if !slices.Equal(got.Tags, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s: %q, %v", name, got.Tags, err)
		}
	}
}

// body is the frame behind its checksum.
func (f Frame) body() []byte { return f.append(nil)[frameSummed:] }

func FuzzFrame(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.append(nil)[frameSummed:])
	}
	f.Add(append(make([]byte, 8), 0, 1, 'j', 1, 1, 3, 0x40, 0, 0, 0))
	leftOver := vectors["schema"]
	leftOver.Oldest = time.UnixMilli(1)
	f.Add(leftOver.body()) // as a frame may be that has become the last of a key
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = ParseFrame(body)
		got, err := ParseFrame(sealed(body))
		if err != nil {
			if !reflect.DeepEqual(got, Frame{}) {
				t.Errorf("an error and %+v", got)
			}
			return
		}
		again, err := ParseFrame(got.append(nil))
		if err != nil || !sameFrame(got, again) {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
	})
}

// A header that claims a lot takes no more memory than it has bytes for.
func TestFrameMemory(t *testing.T) {
	body := append(make([]byte, 8), 0, 1, 'j', 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x03) // 65,535 tags
	body = append(body, make([]byte, 100)...)
	b := sealed(body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := ParseFrame(b); err == nil {
			t.Fatal("parsed")
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 1_000 {
		t.Errorf("%d bytes for a frame of %d", n, len(b))
	}
}

// marshaler is a codec without Append.
type marshaler struct{ codec.Codec }

// What is made later in the same buffer, or fails there, changes no frame, whatever its size.
func TestFrameEncodeOwnsItsBytes(t *testing.T) {
	f := Frame{Codec: "any", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Tags: []string{"users"}}
	var frames [][]byte
	var values []string
	for i := range 20 {
		for _, c := range []codec.Codec{codec.JSON, codec.Msgpack, codec.Raw, marshaler{codec.JSON}, codec.Zstd(codec.JSON, 0), codec.S2(codec.Raw, 100)} {
			v := strings.Repeat(string(rune('a'+i)), 1<<i)
			b, err := f.Encode(c, v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Encode(c, make(chan int)); err == nil {
				t.Errorf("%s: a channel was encoded", c.Name())
			}
			parsed, err := ParseFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			want, err := c.Marshal(v)
			if err != nil || !bytes.Equal(parsed.Payload, want) {
				t.Errorf("%s: the payload of %d bytes isn't what Marshal returns (%v)", c.Name(), len(v), err)
			}
			frames, values = append(frames, b), append(values, string(b))
		}
	}
	for i := range frames {
		if string(frames[i]) != values[i] {
			t.Errorf("frame %d changed", i)
		}
	}
}

// BenchmarkFrameEncode is what a store costs before it goes to Redis: into the frame at once, as codecs of our own can, and
// by a slice of the codec's, as others do.
func BenchmarkFrameEncode(b *testing.B) {
	type user struct {
		ID      int64
		Name    string
		Email   string
		Created time.Time
		Tags    []string
	}
	users := slices.Repeat([]user{{1001, "User Number 1", "user1@example.com", time.UnixMilli(1_700_000_000_123), []string{"admin", "beta"}}}, 1000)
	f := Frame{Codec: "any", Created: time.UnixMilli(1_700_000_000_123), FreshFor: time.Minute, Tags: []string{"users"}}
	for _, c := range []codec.Codec{codec.JSON, codec.Msgpack, codec.Raw} {
		for _, n := range []int{1, 20, 1000} {
			var v any = users[:n]
			if c == codec.Raw {
				v = make([]byte, 120*n)
			}
			for impl, c := range []codec.Codec{marshaler{c}, c} {
				b.Run(fmt.Sprintf("codec=%s/users=%d/impl=%s", c.Name(), n, [...]string{"marshal", "append"}[impl]), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := f.Encode(c, v); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
