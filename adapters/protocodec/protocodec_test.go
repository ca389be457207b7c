package protocodec_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tiercache/tiercache/adapters/protocodec"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/codec/codectest"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func list(t testing.TB, values ...any) *structpb.ListValue {
	t.Helper()
	l, err := structpb.NewList(values)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestConformance(t *testing.T) {
	codectest.Run(t, protocodec.Proto, codectest.Options[*structpb.ListValue]{
		Values: []*structpb.ListValue{list(t), list(t, 1, "two", nil, map[string]any{"three": []any{true}})},
		Equal:  func(decoded, encoded *structpb.ListValue) bool { return proto.Equal(decoded, encoded) },
	})
}

// Other callers than a cache may pass the messages themselves.
func TestMessages(t *testing.T) {
	want := list(t, 1, "two")
	data, err := protocodec.Proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	message := new(structpb.ListValue)
	if err := protocodec.Proto.Unmarshal(data, message); err != nil || !proto.Equal(message, want) {
		t.Errorf("%v, %v, want %v", message, err, want)
	}
}

// What is in Redis must stay readable, also for programs in other languages: it is the message and nothing else.
func TestVector(t *testing.T) {
	want, _ := hex.DecodeString("080a1014") // field 1 is 10, field 2 is 20
	d := &durationpb.Duration{Seconds: 10, Nanos: 20}
	if got, err := protocodec.Proto.Marshal(&d); string(got) != string(want) || protocodec.Proto.Name() != "protobuf" {
		t.Errorf("%x, %v, %s", got, err, protocodec.Proto.Name())
	}
}

func TestWrongValues(t *testing.T) {
	var (
		none  *durationpb.Duration
		text  = "text"
		wrong *codec.TypeError
	)
	for _, v := range []any{text, &text, nil, new(*string), 1, struct{}{}} {
		if _, err := protocodec.Proto.Marshal(v); !errors.As(err, &wrong) {
			t.Errorf("Marshal of %T: %v", v, err)
		}
		if err := protocodec.Proto.Unmarshal(nil, v); !errors.As(err, &wrong) {
			t.Errorf("Unmarshal into %T: %v", v, err)
		}
	}
	for _, v := range []any{none, &none} {
		if b, err := protocodec.Proto.Marshal(v); err == nil || errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "protocodec: ") {
			t.Errorf("a nil message is %q, %v", b, err)
		}
	}
	if err := protocodec.Proto.Unmarshal(nil, none); !errors.As(err, &wrong) {
		t.Errorf("into a nil message: %v", err)
	}
}

// Whatever bytes are in Redis, decoding returns a message or an error.
func FuzzProto(f *testing.F) {
	for _, v := range []proto.Message{list(f, "a", 1, nil), durationpb.New(time.Hour), wrapperspb.Bytes([]byte("bytes"))} {
		data, err := protocodec.Proto.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		var l *structpb.ListValue
		if protocodec.Proto.Unmarshal(data, &l) == nil {
			again, err := protocodec.Proto.Marshal(&l)
			if err != nil {
				t.Fatal(err)
			}
			var second *structpb.ListValue
			if err := protocodec.Proto.Unmarshal(again, &second); err != nil {
				t.Errorf("what was decoded and encoded can't be decoded: %v", err)
			}
		}
		_ = protocodec.Proto.Unmarshal(data, new(*descriptorpb.FileDescriptorProto))
		if string(data) != before {
			t.Error("the input was changed")
		}
	})
}

func newCache[T any](t *testing.T, s *redistest.Server, o tiered.Options[T]) *tiered.Cache[T] {
	t.Helper()
	r, err := tiered.NewRedis(s.Client(t), tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	o.Name, o.Redis, o.Codec = "messages", r, protocodec.Proto
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestCache(t *testing.T) {
	s := redistest.Start(t)
	options := tiered.Options[*structpb.ListValue]{Clone: proto.CloneOf[*structpb.ListValue]}
	a, b := newCache(t, s, options), newCache(t, s, options)
	want := list(t, "a", 1)
	load := func(context.Context, *tiered.Entry[*structpb.ListValue]) (*structpb.ListValue, error) {
		return want, nil
	}
	for _, c := range []*tiered.Cache[*structpb.ListValue]{a, b, b} {
		got, err := c.GetOrLoad(t.Context(), "k", load)
		if err != nil || !proto.Equal(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
		got.Values[0] = structpb.NewNumberValue(7) // a copy, because of Clone
	}
	if s := b.Stats(); s.Loads != 0 || s.RemoteHits == 0 || s.CodecErrors != 0 {
		t.Errorf("%+v", s)
	}
	if err := a.Set(t.Context(), "nil", nil); err == nil {
		t.Error("a nil message was stored")
	}
}

// A cache whose values aren't messages can't be made.
func TestCacheOfAnotherType(t *testing.T) {
	r, err := tiered.NewRedis(redistest.Start(t).Client(t), tiered.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = tiered.New(tiered.Options[string]{Name: "t", Redis: r, Codec: protocodec.Proto})
	var wrong *codec.TypeError
	if !errors.As(err, &wrong) {
		t.Error(err)
	}
}

func Example() {
	// Redis: a *tiered.Redis. *durationpb.Duration: a message of your own.
	lengths, err := tiered.New(tiered.Options[*durationpb.Duration]{
		Name:  "lengths",
		Codec: protocodec.Proto,
		Clone: proto.CloneOf[*durationpb.Duration], // if callers change what they get
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lengths.Close()
	d, err := lengths.GetOrLoad(context.Background(), "film", func(context.Context, *tiered.Entry[*durationpb.Duration]) (*durationpb.Duration, error) {
		return durationpb.New(2 * time.Hour), nil
	})
	fmt.Println(d.AsDuration(), err)
	// Output: 2h0m0s <nil>
}
