package tiered_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// A nil is a value like any other: it is cached, and read as nil, by whatever codec.
func TestNilIsAValue(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	codecs := []codec.Codec{codec.JSON, codec.Msgpack, codec.Zstd(codec.JSON, 0), codec.S2(codec.Msgpack, 0)}
	nilOf[*User](t, s, codecs)
	nilOf[map[string]int](t, s, codecs)
	nilOf[[]string](t, s, codecs)
	nilOf[[]byte](t, s, codecs)
	nilOf[any](t, s, codecs)
	nilOf[[]*User](t, s, codecs)
}

func nilOf[T any](t *testing.T, s *redistest.Server, codecs []codec.Codec) {
	var none T
	typ := reflect.TypeFor[T]()
	load := func(context.Context, *tiered.Entry[T]) (T, error) { return none, nil }
	check := func(t *testing.T, what string, v T, err error) {
		t.Helper()
		if err != nil || any(v) != nil && !reflect.ValueOf(v).IsNil() {
			t.Errorf("%s: %v, %v", what, v, err)
		}
	}
	for i, c := range append([]codec.Codec{nil}, codecs...) { // nil: without Redis
		name := typ.String() + " without Redis"
		if c != nil {
			name = typ.String() + " by " + c.Name()
		}
		t.Run(name, func(t *testing.T) {
			o := tiered.Options[T]{Name: fmt.Sprintf("nil/%x/%d", typ.String(), i), Codec: c}
			if c != nil {
				o.Redis = newRedis(t, s, quiet)
			}
			a := newCache(t, o)
			b := a
			if c != nil {
				o.Redis = newRedis(t, s, quiet)
				b = newCache(t, o)
			}
			if err := a.Set(t.Context(), "set", none); err != nil {
				t.Fatal(err)
			}
			v, err := a.GetOrLoad(t.Context(), "loaded", load)
			check(t, "loaded", v, err)
			many, err := tiered.GetOrLoadMany(t.Context(), a, []string{"batch"}, self, func(context.Context, []string) (map[string]T, error) {
				return map[string]T{"batch": none}, nil
			})
			check(t, "a batch", many["batch"], err)
			for _, c := range []*tiered.Cache[T]{a, b, b} {
				for _, key := range []string{"set", "loaded", "batch"} {
					v, err := c.Get(t.Context(), key)
					check(t, key, v, err)
					v, err = c.GetOrLoad(t.Context(), key, noLoad[T](t))
					check(t, key, v, err)
				}
				many, err := c.GetMany(t.Context(), "set", "loaded", "batch")
				if err != nil || len(many) != 3 {
					t.Errorf("%v, %v", many, err)
				}
			}
			if st := b.Stats(); st.CodecErrors != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Raw has no way to tell a nil from an empty value: it is one when it comes from Redis.
func TestNilByRaw(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newCache(t, tiered.Options[[]byte]{Codec: codec.Raw, Redis: newRedis(t, s, quiet)})
	b := newCache(t, tiered.Options[[]byte]{Codec: codec.Raw, Redis: newRedis(t, s, quiet)})
	if v, err := a.GetOrLoad(t.Context(), "k", value[[]byte](nil)); len(v) > 0 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	for range 2 {
		if v, err := b.GetOrLoad(t.Context(), "k", noLoad[[]byte](t)); !bytes.Equal(v, nil) || err != nil {
			t.Errorf("%v, %v", v, err)
		}
	}
}
