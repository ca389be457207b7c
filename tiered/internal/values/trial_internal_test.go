package values

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/codeclist"
)

type (
	secret   struct{ _ string }
	withChan struct{ C chan int }
	optional struct {
		C chan int `json:",omitzero"`
		N int
	}
	// picky refuses its zero value, and refusing panics on it: the codec can be used for both nevertheless.
	picky    struct{ N int }
	refusing struct{ N int }
	leaving  struct{ N int }
	// onlyShown encodes its zero value to bytes that don't decode.
	onlyShown int
	// opaque has only unexported fields, and methods of its own.
	opaque  struct{ _ int }
	secrets []secret
	person  struct{ Name string }
)

func (f picky) MarshalJSON() ([]byte, error) {
	if f.N == 0 {
		return nil, errors.New("picky: zero")
	}
	return json.Marshal(f.N)
}
func (f *picky) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &f.N) }

func (r *refusing) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%d", 1/r.N), nil }
func (r *refusing) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &r.N) }

func (l *leaving) MarshalJSON() ([]byte, error) { runtime.Goexit(); return nil, nil }

func (o onlyShown) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%.*d", int(o), 1), nil }
func (o *onlyShown) UnmarshalText(b []byte) error {
	if *o = onlyShown(len(b)); *o < 2 {
		return errors.New("zero")
	}
	return nil
}

func (s *opaque) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
func (s *opaque) UnmarshalJSON([]byte) error   { return nil }

func (s secrets) MarshalJSON() ([]byte, error)  { return json.Marshal(len(s)) }
func (s *secrets) UnmarshalJSON(b []byte) error { return nil }

// tried returns the error of a trial of the codec with T.
func tried[T any](c codec.Codec) error {
	v := Funcs[T]{Codec: c, Name: c.Name(), Exited: func(error) {}}
	return v.Try()
}

// A trial rejects a codec that can't encode any value of T, but not one that can't encode only the zero value.
func TestTrial(t *testing.T) {
	for want, err := range map[string]error{
		"chan int":                    tried[chan int](codec.JSON),
		"chan int ":                   tried[chan int](codec.Msgpack),
		"func()":                      tried[func()](codec.Zstd(codec.JSON, 0)),
		"values.withChan":             tried[withChan](codec.JSON),
		"*values.withChan":            tried[*withChan](codec.JSON),
		"[]values.withChan":           tried[[]withChan](codec.S2(codec.Msgpack, 0)),
		"map[string]*values.withChan": tried[map[string]*withChan](codec.JSON),
		"complex128":                  tried[complex128](codec.JSON),
		"map[values.withChan]int":     tried[map[withChan]int](codec.JSON),
		"values.person":               tried[person](codec.Raw),
		"*string":                     tried[*string](codec.Raw),
		"fmt.Stringer":                tried[fmt.Stringer](codec.JSON),
		"[]fmt.Stringer":              tried[[]fmt.Stringer](codec.Zstd(nil, 0)),
		"values.secret":               tried[secret](codec.JSON),
		"*values.secret":              tried[*secret](codec.Msgpack),
		"chan int  ":                  tried[chan int](jsonByAnother{}),
		"[]values.secret":             tried[[]secret](codec.Zstd(codec.Msgpack, 0)),
	} {
		want = strings.TrimSpace(want)
		if err == nil || !strings.HasPrefix(err.Error(), "tiered: Options.Codec is ") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want a codec that can") {
			t.Errorf("%s: %v", want, err)
		}
	}
	for name, err := range map[string]error{
		"user":         tried[person](codec.JSON),
		"*person":      tried[*person](codec.Msgpack),
		"any":          tried[any](codec.JSON),
		"any, msgpack": tried[any](codec.Msgpack),
		"struct{}":     tried[struct{}](codec.JSON),
		"bytes":        tried[[]byte](codec.Raw),
		"string":       tried[string](codec.Zstd(codec.Raw, 0)),
		"optional":     tried[optional](codec.JSON),
		"picky":        tried[picky](codec.JSON),
		"[]*picky":     tried[[]*picky](codec.JSON),
		"refusing":     tried[refusing](codec.JSON),
		"leaving":      tried[leaving](codec.JSON),
		"onlyShown":    tried[onlyShown](codec.JSON),
		"opaque":       tried[opaque](codec.JSON),
		"secrets":      tried[secrets](codec.JSON),
		"time":         tried[time.Time](codec.JSON),
		"big.Int":      tried[big.Int](codec.Msgpack),
		"url.URL":      tried[url.URL](codec.Msgpack),
		"third":        tried[fmt.Stringer](anything{}),
		"recursive":    tried[*list](codec.JSON),

		"enveloped":           tried[shape](envelopes{}),
		"enveloped, many":     tried[[]shape](envelopes{}),
		"enveloped, as json":  tried[shape](envelopes{name: "json"}),
		"enveloped, zstd":     tried[shape](codec.Zstd(envelopes{name: "json"}, 0)),
		"enveloped, s2":       tried[shape](codec.S2(envelopes{}, 0)),
		"refuses nil":         tried[shape](envelopes{refuseNil: true}),
		"refuses nil, many":   tried[[]shape](envelopes{refuseNil: true}),
		"unexported by third": tried[secret](jsonByAnother{}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each codec that package codec exports is among ours, or its name begins with a wrapper.
func TestOursAreAll(t *testing.T) {
	names := slices.Clone(wrappers)
	for _, c := range ours {
		names = append(names, c.Name())
	}
	found, wrapping := codeclist.Exported(t, "../../../codec")
	for _, name := range wrapping {
		found = append(found, name+"(")
	}
	for _, name := range found {
		if !slices.Contains(names, strings.ToLower(name)) {
			t.Errorf("%s is missing: New would treat it as a codec of somebody else", name)
		}
	}
	if len(found) != len(names) {
		t.Errorf("found %d codecs, want %d", len(found), len(names))
	}
}

type list []*list

// anything is a codec with its own encoding for types that others can't encode.
type anything struct{}

func (anything) Name() string                { return "anything" }
func (anything) Marshal(any) ([]byte, error) { return []byte("x"), nil }
func (anything) Unmarshal([]byte, any) error { return nil }

// jsonByAnother is a third party's codec that embeds JSON, and so has its name.
type jsonByAnother struct{ codec.Codec }

func (jsonByAnother) Name() string                       { return "json" }
func (jsonByAnother) Marshal(v any) ([]byte, error)      { return codec.JSON.Marshal(v) }
func (jsonByAnother) Unmarshal(data []byte, v any) error { return codec.JSON.Unmarshal(data, v) }

type (
	shape  interface{ Area() int }
	square struct{ Side int }
)

func (s square) Area() int { return s.Side * s.Side }

// envelopes is a third party's codec that knows the types of an interface, and uses encoding/json.
type envelopes struct {
	name      string
	refuseNil bool
}

type envelope struct {
	Kind string
	Data json.RawMessage
}

func (e envelopes) Name() string {
	if e.name == "" {
		return "shapes"
	}
	return e.name
}

func (e envelopes) Marshal(v any) ([]byte, error) {
	p, ok := v.(*shape)
	if !ok {
		return json.Marshal(v)
	}
	if *p == nil {
		if e.refuseNil {
			return nil, &codec.TypeError{Codec: "shapes", Type: nil}
		}
		return json.Marshal(envelope{})
	}
	data, err := json.Marshal(*p)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{"square", data})
}

func (e envelopes) Unmarshal(data []byte, v any) error {
	var env envelope
	if err := json.Unmarshal(data, &env); err != nil {
		return err
	}
	if env.Kind == "" {
		return nil
	}
	var s square
	err := json.Unmarshal(env.Data, &s)
	*v.(*shape) = s
	return err
}
