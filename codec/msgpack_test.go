package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
)

func TestMsgpackTimes(t *testing.T) {
	zone := time.FixedZone("", 7*3600)
	for _, want := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(1<<34, 1), time.Unix(-1, 999_999_999), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, zone),
		// The first byte of these nanoseconds is the code of a map, with a length that isn't there.
		time.Unix(1_700_000_000, 0xdf<<22|0x3fffff), time.Unix(1_700_000_000, 0x81<<22), time.Unix(1_700_000_000, 0xc0<<22),
	} {
		data, err := codec.Msgpack.Marshal([]time.Time{want})
		if err != nil {
			t.Fatal(err)
		}
		var times []time.Time
		var loose []any
		if err := codec.Msgpack.Unmarshal(data, &times); err != nil || !times[0].Equal(want) {
			t.Errorf("%v came back as %v, %v", want, times, err)
		}
		if err := codec.Msgpack.Unmarshal(data, &loose); err != nil || !loose[0].(time.Time).Equal(want) {
			t.Errorf("%v came back as %v, %v", want, loose, err)
		}
		if !want.IsZero() && times[0].Location() != time.Local {
			t.Errorf("%v came back in %v", want, times[0].Location())
		}
	}
}

func TestMsgpackFieldsByName(t *testing.T) {
	type before struct {
		A int
		B string
	}
	type after struct {
		C []int
		B string
	}
	data, err := codec.Msgpack.Marshal(before{A: 1, B: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	var got after
	if err := codec.Msgpack.Unmarshal(data, &got); err != nil || got.B != "kept" || got.C != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestMsgpackErrors(t *testing.T) {
	type stringer struct{ S fmt.Stringer }
	cases := []struct {
		name   string
		data   string
		target any
	}{
		{"nothing", "", new(any)},
		{"never used code", "\xc1", new(any)},
		{"trailing byte", "\x01\x02", new(int)},
		{"trailing nil", "\x90\xc0", new([]int)},
		{"cut short", "\x92\x01", new([]int)},
		{"other type", "\xa1x", new(int)},
		{"slice as a map's key", "\x81\x90\x01", new(map[any]any)},
		{"string for a method set", "\x81\xa1S\xa1x", new(stringer)},
		{"array too long", "\x93\x01\x02\x03", new([2]int)},
		{"unknown extension", "\xd4\x07\x00", new(any)},
	}
	for _, c := range cases {
		err := codec.Msgpack.Unmarshal([]byte(c.data), c.target)
		if err == nil || !strings.HasPrefix(err.Error(), "codec: decode msgpack: ") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := codec.Msgpack.Marshal(make(chan int)); err == nil || !strings.HasPrefix(err.Error(), "codec: msgpack can't hold chan int: ") {
		t.Errorf("channel: %v", err)
	}
}

type wide struct{ Pad [64]uint64 }

// A few hostile bytes must not cost memory, whatever they claim and whatever they are decoded into.
func TestMsgpackClaims(t *testing.T) {
	const claim = "\xff\xff\xff\xff"
	inputs := []string{
		"\xdd" + claim, "\xdf" + claim, "\xc6" + claim, "\xdb" + claim, "\xc9" + claim + "\xff", "\xdc\xff\xff", "\xde\xff\xff",
		"\x81\xa1a\xdd" + claim, "\x91\xdd" + claim, "\x92\xdd" + claim + "\xc0", "\x81\xa1M\xdf" + claim, "\x81\xa1B\xc6" + claim,
		// An extension's body that passes for a map's header, alone and inside.
		"\xc7\x05\xff\xdf" + claim, "\xd7\xff\xdf" + claim + "\x00\x00\x00", "\xc7\x09\xff\x81\xa1k\xdd" + claim + "\x00",
		"\x82\xa1M\xc7\x0a\xff\xc0\xa1V\xdd" + claim + "\x00\x00\xa1V\x01", "\x81\xa1M\xc7\x08\x07\x80\xa1V\xdd" + claim,
		"\x81\xa1M\xd7\xff\xdf" + claim + "\x00\x00\x00", "\x81\xa1V\xc7\x07\x07\xd5\xff\xdf" + claim,
	}
	targets := []func() any{
		func() any { return new(any) }, func() any { return new([]any) }, func() any { return new([]int64) },
		func() any { return new([]wide) }, func() any { return new([]string) }, func() any { return new([]byte) },
		func() any { return new(string) }, func() any { return new(blob) }, func() any { return new(map[string]any) },
		func() any { return new(map[string]string) }, func() any { return new(map[string]wide) }, func() any { return new(map[any]any) },
		func() any { return new(json.RawMessage) }, func() any { return new(time.Time) },
		func() any {
			return new(struct {
				M map[string]any
				B []byte
				V any
			})
		},
	}
	for _, in := range inputs {
		for _, target := range targets {
			v := target()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := codec.Msgpack.Unmarshal([]byte(in), v)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<10 {
				t.Errorf("%q into %T cost %d bytes (%v)", in, v, used, err)
			}
		}
	}
}

func TestMsgpackDepth(t *testing.T) {
	type list struct {
		Next *list
		Kids []list
	}
	for _, prefix := range []string{"\x91", "\x81\xa4Next", "\x81\xa4Kids\x91", "\x81\x01", "\xdc\x00\x01", "\xc9\x00\xff\xff\xff\x07\x81"} {
		data := append(bytes.Repeat([]byte(prefix), 1_000_000), 0xc0)
		for _, target := range []any{new(any), new(list), new([]any), new(map[any]any)} {
			if err := codec.Msgpack.Unmarshal(data, target); err == nil {
				t.Errorf("%q a million times decoded into %T", prefix, target)
			}
		}
	}
	deep := append(bytes.Repeat([]byte{0x91}, 10_000), 0xc0)
	var v any
	if err := codec.Msgpack.Unmarshal(deep, &v); err != nil {
		t.Errorf("10000 deep: %v", err)
	}
}
