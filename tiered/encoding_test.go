package tiered_test

import (
	"math/big"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// shy is encoded by methods with pointer receivers; its field alone would be lost.
type shy struct{ s string }

func (v *shy) MarshalText() ([]byte, error)           { return []byte("T" + v.s), nil }
func (v *shy) UnmarshalText(b []byte) error           { v.s = string(b[1:]); return nil }
func (v *shy) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeString(v.s) }
func (v *shy) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	v.s, err = d.DecodeString()
	return err
}

// shyPlaces has one in every place.
type shyPlaces struct {
	Field   shy
	Pointer *shy
	Slice   []shy
	Array   [2]shy
	Map     map[string]*shy
	Int     big.Int
	URL     url.URL
	Any     any
}

// process is a cache in a process of its own, as far as Redis knows.
func process[T any](t *testing.T, s *redistest.Server, c codec.Codec) *tiered.Cache[T] {
	t.Helper()
	return newCache(t, tiered.Options[T]{Name: "t", Codec: c, Redis: newRedis(t, s, tiered.RedisOptions{})})
}

// carried stores the value in one process, by a Set and by a load, and reads it in another.
func carried[T any](name string, v T) func(t *testing.T, s *redistest.Server, c codec.Codec) {
	return func(t *testing.T, s *redistest.Server, c codec.Codec) {
		t.Helper()
		here, there := process[T](t, s, c), process[T](t, s, c)
		if err := here.Set(t.Context(), "set", v); err != nil {
			t.Errorf("%s: %s: %v", c.Name(), name, err)
			return
		}
		if _, err := here.GetOrLoad(t.Context(), "load", value(v)); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"set", "load"} {
			got, err := there.Get(t.Context(), key)
			if err != nil || !same(got, v) {
				t.Errorf("%s: %s: %s is %+v, %v; want %+v\n%q", c.Name(), name, key, got, err, v, s.Do("GET", "tc:t:"+key))
			}
		}
		s.Do("DEL", "tc:t:set", "tc:t:load")
	}
}

// same compares as reflect.DeepEqual does, but for times, which lose their location.
func same(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		return t.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

// What is cached in one process is equal in another, also where the methods that encode it have pointer receivers. (The codec
// package tests many more types.)
func TestPointerReceivers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	u, err := url.Parse("https://example.com/a%20b?q=1#f")
	if err != nil {
		t.Fatal(err)
	}
	large, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	one := shy{"x"}
	places := shyPlaces{one, &one, []shy{one}, [2]shy{one, one}, map[string]*shy{"a": &one, "nil": nil}, *large, *u, "any"}
	checks := []func(t *testing.T, s *redistest.Server, c codec.Codec){
		carried("value", one), carried("pointer", &one), carried("nil", (*shy)(nil)), carried("places", places), carried("nil any", any(nil)),
		carried("time", time.Unix(1_700_000_000, 5)),
	}
	for _, c := range valueCodecs() {
		for _, check := range checks {
			check(t, s, c)
		}
	}
	carried("bytes", []byte("b"))(t, s, codec.Raw)
	carried("string", "s")(t, s, codec.S2(codec.Raw, 1))
}

// null is what T makes of it: nil, a value that is written as null, or a miss.
func TestNullFromAnotherProgram(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("SET", "tc:t:k", "null")
	s.Do("SET", "tc:t:echoed", "null\n")
	missed(t, process[user](t, s, nil))
	missed(t, process[int](t, s, nil))
	missed(t, process[time.Time](t, s, nil))
	isNil(t, process[*user](t, s, nil))
	isNil(t, process[any](t, s, nil))
	s.Do("SET", "tc:t:k", "\xc0")
	s.Do("SET", "tc:t:echoed", "\xc0")
	missed(t, process[user](t, s, codec.Msgpack))
	missed(t, process[int](t, s, codec.Msgpack))
	missed(t, process[time.Time](t, s, codec.Msgpack))
	isNil(t, process[*user](t, s, codec.Msgpack))
	isNil(t, process[any](t, s, codec.Msgpack))
}

func missed[T any](t *testing.T, c *tiered.Cache[T]) {
	t.Helper()
	for _, key := range []string{"k", "echoed"} {
		if v, err := c.Get(t.Context(), key); err != tiered.ErrNotFound {
			t.Errorf("%T: %v, %v", v, v, err)
		}
	}
	if n := c.Stats().CodecErrors; n != 2 {
		t.Errorf("%T: %d codec errors", c, n)
	}
}

func isNil[T any](t *testing.T, c *tiered.Cache[T]) {
	t.Helper()
	for _, key := range []string{"k", "echoed"} {
		if v, err := c.Get(t.Context(), key); err != nil || any(v) != nil && !reflect.ValueOf(v).IsNil() {
			t.Errorf("%T: %v, %v", v, v, err)
		}
	}
}
