package codectest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item struct {
	Name string
	Tags []string
}

var items = []item{{}, {Name: "a", Tags: []string{"z", "x", "y"}}, {Name: strings.Repeat("long ", 100)}}

// broken is a codec of items that does one thing wrong: what is set replaces the method of codec.JSON.
type broken struct {
	name           func() string
	marshal        func(v any) ([]byte, error)
	append         func(dst []byte, v any) ([]byte, error)
	unmarshal      func(data []byte, v any) error
	unmarshalAlias func(data []byte, v any) error
}

func (b broken) Name() string {
	if b.name != nil {
		return b.name()
	}
	return "broken"
}

func (b broken) Marshal(v any) ([]byte, error) {
	if b.marshal != nil {
		return b.marshal(v)
	}
	return codec.JSON.Marshal(v)
}

func (b broken) Append(dst []byte, v any) ([]byte, error) {
	if b.append != nil {
		return b.append(dst, v)
	}
	data, err := b.Marshal(v)
	return append(dst, data...), err
}

func (b broken) Unmarshal(data []byte, v any) error {
	if b.unmarshal != nil {
		return b.unmarshal(data, v)
	}
	return codec.JSON.Unmarshal(data, v)
}

func (b broken) UnmarshalAlias(data []byte, v any) error {
	if b.unmarshalAlias != nil {
		return b.unmarshalAlias(data, v)
	}
	return b.Unmarshal(data, v)
}

// bindsOnce is a Binder whose codec can't be made twice for the same key.
type bindsOnce struct {
	broken
	count *atomic.Int64
}

func (b bindsOnce) Bind(string, string) codec.Codec {
	n := b.count.Add(1)
	return broken{
		marshal: func(v any) ([]byte, error) {
			data, err := codec.JSON.Marshal(v)
			return binary.BigEndian.AppendUint64(data, uint64(n)), err
		},
		unmarshal: func(data []byte, v any) error {
			if end := len(data) - 8; end >= 0 && binary.BigEndian.Uint64(data[end:]) == uint64(n) {
				return codec.JSON.Unmarshal(data[:end], v)
			}
			return errors.New("of another key")
		},
	}
}

var errShort = errors.New("too short")

// framed has the length before the value, in four bytes of which it ignores some bits, and trusts it.
var framed = broken{
	marshal: func(v any) ([]byte, error) {
		data, err := codec.JSON.Marshal(v)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...), err
	},
	unmarshal: func(data []byte, v any) error {
		if len(data) < 4 {
			return errShort
		}
		value := make([]byte, binary.BigEndian.Uint32(data)&(1<<27-1))
		if n := copy(value, data[4:]); n != len(value) || n != len(data)-4 {
			return errShort
		}
		return codec.JSON.Unmarshal(value, v)
	},
}

// faults are codecs, each with the check that finds what it does wrong.
func faults() map[string]struct {
	check string
	codec codec.Codec
} {
	type fault = struct {
		check string
		codec codec.Codec
	}
	var calls atomic.Int64
	var kept, pooled []byte
	spoiled := false
	return map[string]fault{
		"has no name":      {"name", broken{name: func() string { return "" }}},
		"has a long name":  {"name", broken{name: func() string { return strings.Repeat("x", 129) }}},
		"changes its name": {"name", broken{name: func() string { return fmt.Sprint(calls.Add(1)) }}},
		"renames what it binds": {"name", struct {
			broken
			binder
		}{broken{}, binder{broken{name: func() string { return "another" }}}}},
		"sorts the value": {"values stay", broken{marshal: func(v any) ([]byte, error) {
			slices.Sort(v.(*item).Tags)
			return codec.JSON.Marshal(v)
		}}},
		"loses a field": {"round trip", broken{marshal: func(v any) ([]byte, error) { return codec.JSON.Marshal(item{Name: v.(*item).Name}) }}},
		"wants no pointers": {"round trip", broken{marshal: func(v any) ([]byte, error) {
			return codec.JSON.Marshal(v.(item))
		}}},
		"binds to more than the key": {"round trip", bindsOnce{count: &calls}},
		"doesn't append":             {"append", broken{append: func(_ []byte, v any) ([]byte, error) { return codec.JSON.Marshal(v) }}},
		"appends over what is there": {"append", broken{append: func(dst []byte, v any) ([]byte, error) {
			clear(dst)
			data, err := codec.JSON.Marshal(v)
			return append(dst, data...), err
		}}},
		"returns a buffer that it uses again": {"encoded bytes", broken{marshal: func(v any) (_ []byte, err error) {
			pooled, err = codec.Append(codec.JSON, pooled[:0], v)
			return pooled, err
		}}},
		"keeps what it returned": {"encoded bytes", broken{marshal: func(v any) (data []byte, err error) {
			if v.(*item).Name != "a" {
				return codec.JSON.Marshal(v)
			}
			if kept == nil {
				kept, err = codec.JSON.Marshal(v)
			}
			return kept, err
		}}},
		"changes what it decodes": {"decoded bytes", broken{unmarshal: func(data []byte, v any) error {
			defer clear(data)
			return codec.JSON.Unmarshal(data, v)
		}}},
		"writes behind what it decodes": {"decoded bytes", broken{unmarshal: func(data []byte, v any) error {
			_ = append(data, 0)
			return codec.JSON.Unmarshal(data, v)
		}}},
		"changes what belongs to the value": {"alias", broken{unmarshalAlias: func(data []byte, v any) error {
			defer clear(data)
			return codec.JSON.Unmarshal(data, v)
		}}},
		"uses the value's bytes again": {"alias", broken{unmarshalAlias: func(data []byte, v any) error {
			clear(kept)
			kept = data
			return codec.JSON.Unmarshal(data, v)
		}}},
		"takes nothing for a value": {"empty", broken{unmarshal: func(data []byte, v any) error {
			if len(data) == 0 {
				return nil
			}
			return codec.JSON.Unmarshal(data, v)
		}}},
		"panics on no bytes": {"empty", broken{unmarshal: func(data []byte, v any) error {
			_ = data[0]
			return codec.JSON.Unmarshal(data, v)
		}}},
		"ignores errors": {"truncated", broken{unmarshal: func(data []byte, v any) error {
			_ = json.Unmarshal(data, v)
			return nil
		}}},
		"panics on too few bytes": {"truncated", broken{marshal: framed.marshal, unmarshal: func(data []byte, v any) error {
			return codec.JSON.Unmarshal(data[4:][:binary.BigEndian.Uint32(data)], v)
		}}},
		"ignores what is behind": {"bytes behind", broken{unmarshal: func(data []byte, v any) error {
			return json.NewDecoder(bytes.NewReader(data)).Decode(v)
		}}},
		"ignores words behind": {"bytes behind", broken{unmarshal: func(data []byte, v any) error {
			for bytes.HasSuffix(data, []byte{0xff, 0xff}) {
				data = data[:len(data)-2]
			}
			return codec.JSON.Unmarshal(data, v)
		}}},
		"trusts a length": {"damaged", framed},
		"panics on bytes that it doesn't know": {"damaged", broken{unmarshal: func(data []byte, v any) error {
			if err := json.Unmarshal(data, v); err != nil && data[0] == 0xff {
				panic(err)
			}
			return codec.JSON.Unmarshal(data, v)
		}}},
		"is spoiled by an error": {"damaged", broken{unmarshal: func(data []byte, v any) error {
			err := codec.JSON.Unmarshal(data, v)
			spoiled = spoiled || err != nil && len(data) > 0 && data[0] == 0xff
			if spoiled {
				return errors.New("spoiled")
			}
			return err
		}}},
		"has an error of its own for types": {"type", broken{marshal: func(v any) ([]byte, error) {
			if _, ok := v.(*item); !ok {
				return nil, errors.New("not an item")
			}
			return codec.JSON.Marshal(v)
		}}},
		"panics on types":      {"type", broken{marshal: func(v any) ([]byte, error) { return codec.JSON.Marshal(*v.(*item)) }}},
		"is for one goroutine": {"concurrent", onlyOne()},
	}
}

// binder binds to the codec.
type binder struct{ to codec.Codec }

func (b binder) Bind(string, string) codec.Codec { return b.to }

// onlyOne is a codec that is wrong when two goroutines call it at once, which it waits for. It has no data race, which would fail
// this test.
func onlyOne() codec.Codec {
	var running atomic.Int64
	return broken{marshal: func(v any) ([]byte, error) {
		defer running.Add(-1)
		running.Add(1)
		for range 10_000 {
			if running.Load() > 1 {
				return codec.JSON.Marshal(item{Name: "another's"})
			}
			runtime.Gosched()
		}
		return codec.JSON.Marshal(v)
	}}
}

// Each fault is found, by the check that is for it.
func TestBroken(t *testing.T) {
	found := make(map[string]bool)
	for fault, f := range faults() {
		found[f.check] = true
		t.Run(strings.ReplaceAll(fault, " ", "_"), func(t *testing.T) {
			values := make([]item, len(items))
			for i, v := range items {
				values[i] = item{v.Name, slices.Clone(v.Tags)}
			}
			s := newSubject(f.codec, Options[item]{Values: values})
			for _, check := range checks[item]() {
				if check.name != f.check {
					continue
				}
				err := check.run(s)
				if err == nil {
					t.Fatalf("the check %q finds nothing wrong with a codec that %s", f.check, fault)
				}
				t.Logf("%.300s", err)
			}
		})
	}
	for _, check := range checks[item]() {
		if !found[check.name] {
			t.Errorf("no codec is broken so that the check %q finds it", check.name)
		}
	}
}

// A codec of bytes may keep a reference to them: the value's, or those that it decodes.
func TestBrokenReferences(t *testing.T) {
	for check, c := range map[string]broken{
		"encoded bytes": {marshal: func(v any) ([]byte, error) { return *v.(*[]byte), nil }, unmarshal: codec.Raw.Unmarshal},
		"decoded bytes": {marshal: codec.Raw.Marshal, unmarshal: func(data []byte, v any) error { return codec.UnmarshalAlias(codec.Raw, data, v) }},
	} {
		s := newSubject[[]byte](c, Options[[]byte]{Values: [][]byte{[]byte("value")}})
		for _, each := range checks[[]byte]() {
			if err := each.run(s); each.name == check && err == nil {
				t.Errorf("the check %q finds nothing", check)
			}
		}
	}
}

// What isn't broken passes: a value's beginning that is another value, one that is equal without its last byte, and an Equal.
func TestSound(t *testing.T) {
	Run(t, broken{}, Options[item]{Values: items})
	Run(t, codec.Raw, Options[string]{Values: []string{"", "short", strings.Repeat("long ", 5_000)}})
	Run(t, codec.JSON, Options[float64]{Values: []float64{0, 0.05, 1e-20, 1e100}})
	Run(t, newline, Options[[]int]{Values: [][]int{nil, {1}, slices.Repeat([]int{7}, 1000)}})
	Run(t, codec.JSON, Options[time.Time]{Values: []time.Time{time.Now(), {}}, Equal: time.Time.Equal})
}

// newline is JSON with a line end, as json.Encoder writes it.
var newline = broken{marshal: func(v any) ([]byte, error) {
	data, err := codec.JSON.Marshal(v)
	return append(data, '\n'), err
}}
