package tiered_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// price panics when it is decoded from what is no string, and when it is encoded if it is "unwritable".
type price string

const unwritable = price("unwritable")

func (p *price) UnmarshalJSON(b []byte) error {
	*p = price(b[1:][:len(b)-2])
	return nil
}

func (p price) MarshalJSON() ([]byte, error) {
	if p == unwritable {
		panic(errUnwritable)
	}
	return json.Marshal(string(p))
}

func (p *price) DecodeMsgpack(dec *msgpack.Decoder) error {
	v, err := dec.DecodeInterface()
	*p = price(v.(string))
	return err
}

func (p price) EncodeMsgpack(enc *msgpack.Encoder) error {
	if p == unwritable {
		panic(errUnwritable)
	}
	return enc.EncodeString(string(p))
}

var errUnwritable = errors.New("unwritable")

// third is a codec by somebody else, which only has the three methods.
type third struct{}

func (third) Name() string                       { return "third" }
func (third) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (third) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// ware has a price; oldWare is what an older version of the program stored.
type (
	ware    struct{ Price price }
	oldWare struct{ Price int }
)

func valueCodecs() []codec.Codec {
	return []codec.Codec{codec.JSON, codec.Msgpack, codec.Zstd(codec.JSON, 1), codec.S2(codec.Msgpack, 1), third{}}
}

// observed collects what a cache tells of values.
type observed struct {
	mu   sync.Mutex
	keys []string
	log  bytes.Buffer
}

func (o *observed) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(p)
}

func (o *observed) trace() *tiered.Trace {
	return &tiered.Trace{CodecError: func(key string, cause error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.keys = append(o.keys, key)
		if cause == nil {
			o.keys = append(o.keys, "no cause")
		}
	}}
}

// A value in Redis on which a method of T panics is a miss, in every call, and the next load replaces it.
func TestPanicWhileDecoding(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, cd := range valueCodecs() {
		t.Run(cd.Name(), func(t *testing.T) {
			before := newCache(t, tiered.Options[oldWare]{Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: cd, Version: "1"})
			keys := []string{"get", "lookup", "load", "a", "b", "m"}
			for _, key := range keys {
				if err := before.Set(t.Context(), key, oldWare{Price: 0}); err != nil {
					t.Fatal(err)
				}
			}
			var seen observed
			c := newCache(t, tiered.Options[ware]{Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: cd, Version: "1", Trace: seen.trace(),
				Logger: slog.New(slog.NewTextHandler(&seen, nil))})
			if v, err := c.Get(t.Context(), "get"); err != tiered.ErrNotFound {
				t.Errorf("Get: %v, %v", v, err)
			}
			if v, err := c.Lookup(t.Context(), "lookup"); err != tiered.ErrNotFound {
				t.Errorf("Lookup: %+v, %v", v, err)
			}
			if v, err := c.GetMany(t.Context(), "m", "a"); err != nil || len(v) != 0 {
				t.Errorf("GetMany: %v, %v", v, err)
			}
			if st := c.Stats(); st.CodecErrors != 4 || st.Misses != 4 {
				t.Errorf("%+v", st)
			}
			for range 2 {
				v, err := c.GetOrLoad(t.Context(), "load", value(ware{"7"}))
				if err != nil || v.Price != "7" {
					t.Errorf("GetOrLoad: %v, %v", v, err)
				}
			}
			got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"a", "b"}, func(k string) string { return k },
				func(context.Context, []string) (map[string]ware, error) {
					return map[string]ware{"a": {"1"}, "b": {"2"}}, nil
				})
			if err != nil || got["a"].Price != "1" || got["b"].Price != "2" {
				t.Errorf("GetOrLoadMany: %v, %v", got, err)
			}
			if st := c.Stats(); st.CodecErrors != 7 || st.Loads != 2 || st.LoadErrors != 0 {
				t.Errorf("%+v", st)
			}
			if len(seen.keys) != 7 || seen.keys[0] != "get" || !strings.Contains(seen.log.String(), "UnmarshalJSON") && !strings.Contains(seen.log.String(), "DecodeMsgpack") {
				t.Errorf("told of %q\n%s", seen.keys, seen.log.String())
			}
			other := newCache(t, tiered.Options[ware]{Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: cd, Version: "1"})
			if v, err := other.Get(t.Context(), "load"); err != nil || v.Price != "7" {
				t.Errorf("in another process: %v, %v", v, err)
			}
			s.Do("FLUSHALL")
		})
	}
}

// What can't be encoded is an error of Set, and the value of a load is its callers' all the same.
func TestPanicWhileEncoding(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, cd := range valueCodecs() {
		t.Run(cd.Name(), func(t *testing.T) {
			var seen observed
			c := newCache(t, tiered.Options[ware]{Redis: newRedis(t, s, tiered.RedisOptions{}), Codec: cd, Trace: seen.trace(),
				Logger: slog.New(slog.NewTextHandler(&seen, nil))})
			for _, err := range []error{
				c.Set(t.Context(), "the-key", ware{unwritable}),
				c.SetMany(t.Context(), map[string]ware{"the-key": {unwritable}}),
			} {
				var p *codec.PanicError
				if !errors.As(err, &p) || p.Value != errUnwritable || !strings.Contains(string(p.Stack), "price") {
					t.Fatalf("%v", err)
				}
				if !errors.Is(err, errUnwritable) || !strings.Contains(err.Error(), `"the-key"`) || !strings.HasPrefix(err.Error(), "tiered: ") {
					t.Errorf("%v", err)
				}
			}
			for _, behind := range []bool{false, true} {
				c := c.With(func(p *tiered.Policy) { p.StoreBehind = behind })
				if v, err := c.GetOrLoad(t.Context(), "k", value(ware{unwritable})); err != nil || v.Price != unwritable {
					t.Errorf("%v, %v", v, err)
				}
				got, err := tiered.GetOrLoadMany(t.Context(), c, []string{"x", "y"}, func(k string) string { return k },
					func(context.Context, []string) (map[string]ware, error) {
						return map[string]ware{"x": {unwritable}, "y": {"2"}}, nil
					})
				if err != nil || got["x"].Price != unwritable || got["y"].Price != "2" {
					t.Errorf("GetOrLoadMany: %v, %v", got, err)
				}
				waitFor(t, func() bool { return s.Do("EXISTS", "tc:test:y", "tc:test:x", "tc:test:k") == int64(1) })
				if err := c.Delete(t.Context(), "y"); err != nil {
					t.Fatal(err)
				}
			}
			if st := c.Stats(); st.CodecErrors != 6 || st.LoadErrors != 0 {
				t.Errorf("%+v", st)
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			slices.Sort(seen.keys) // with StoreBehind they are stored in any order
			if fmt.Sprint(seen.keys) != "[k k x x]" || !strings.Contains(seen.log.String(), "can't be stored") {
				t.Errorf("told of %q\n%s", seen.keys, seen.log.String())
			}
		})
	}
}

// Cost is a method of a value like another: a value that it panics on isn't stored, and isn't read.
func TestPanicInCost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cost := func(p price) int64 { return int64(len(p) / (len(p) - 3)) }
	for _, r := range []*tiered.Redis{nil, newRedis(t, s, tiered.RedisOptions{})} {
		c := newCache(t, tiered.Options[price]{Redis: r, MaxCost: 1000, Cost: cost})
		var p *codec.PanicError
		if err := c.Set(t.Context(), "k", "bad"); !errors.As(err, &p) || !strings.Contains(err.Error(), `"k"`) || !strings.Contains(err.Error(), "Options.Cost") {
			t.Errorf("Set: %v", err)
		}
		for range 2 {
			if v, err := c.GetOrLoad(t.Context(), "k", value(price("bad"))); err != nil || v != "bad" {
				t.Errorf("GetOrLoad: %v, %v", v, err)
			}
		}
		if st := c.Stats(); st.CodecErrors != 3 || st.Loads != 2 || st.LoadErrors != 0 {
			t.Errorf("%+v", st)
		}
		if r == nil {
			continue
		}
		s.Do("SET", "tc:test:k", `"bad"`)
		if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
			t.Errorf("Get: %v, %v", v, err)
		}
		if v, err := c.GetOrLoad(t.Context(), "k", value(price("good"))); err != nil || v != "good" {
			t.Errorf("GetOrLoad: %v, %v", v, err)
		}
		if v, err := c.Get(t.Context(), "k"); err != nil || v != "good" {
			t.Errorf("Get: %v, %v", v, err)
		}
	}
}

// A Clone that panics is an error of the call, and the loader gets no value from it.
func TestPanicInClone(t *testing.T) {
	t.Parallel()
	const bad = "bad"
	var broken atomic.Bool
	broken.Store(true)
	c := newCache(t, tiered.Options[string]{Clone: func(v string) string {
		if v == bad && broken.Load() {
			panic(errUnwritable)
		}
		return v
	}})
	check := func(what string, err error) {
		t.Helper()
		var p *codec.PanicError
		if !errors.As(err, &p) || !errors.Is(err, errUnwritable) || !strings.HasPrefix(err.Error(), "tiered: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("Set", c.Set(t.Context(), "k", bad))
	for range 2 { // it isn't stored
		check("GetOrLoad", second(c.GetOrLoad(t.Context(), "k", value(bad))))
	}
	if st := c.Stats(); st.Loads != 2 || st.LoadErrors != 0 || st.CodecErrors != 5 {
		t.Errorf("%+v", st)
	}
	broken.Store(false)
	if err := c.SetMany(t.Context(), map[string]string{"k": bad, "newbad": bad}); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	check("GetOrLoad", second(c.GetOrLoad(t.Context(), "k", noLoad[string](t))))
	check("Get", second(c.Get(t.Context(), "k")))
	check("Lookup", second(c.Lookup(t.Context(), "k")))
	if err := c.Set(t.Context(), "good", "good"); err != nil {
		t.Fatal(err)
	}
	many, err := c.GetMany(t.Context(), "k", "good")
	check("GetMany", err)
	if many["good"] != "good" || len(many) != 1 || !strings.Contains(err.Error(), `"k"`) {
		t.Errorf("%v, %v", many, err)
	}
	for range 2 {
		many, err = tiered.GetOrLoadMany(t.Context(), c, []string{"k", "good", "new", "newbad"}, func(k string) string { return k },
			func(context.Context, []string) (map[string]string, error) {
				return map[string]string{"new": "new"}, nil
			})
		check("GetOrLoadMany", err)
		if fmt.Sprint(many) != "map[good:good new:new]" {
			t.Errorf("%v", many)
		}
	}
	_, err = c.Refresh(t.Context(), "k", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		if e.Found || e.Value != "" || e.Key != "k" {
			t.Errorf("the loader got %+v", e)
		}
		return "new", nil
	})
	if err != nil {
		t.Error(err)
	}
}

// exiting ends its goroutine while it decodes "exit", and while it encodes that.
type exiting string

func (x *exiting) UnmarshalJSON(b []byte) error {
	if string(b) == `"exit"` {
		runtime.Goexit()
	}
	return json.Unmarshal(b, (*string)(x))
}

func (x exiting) MarshalJSON() ([]byte, error) {
	if x == "exit" {
		runtime.Goexit()
	}
	return json.Marshal(string(x))
}

// The first runtime.Goexit ends the goroutine it is called in, and nothing else. After it they are errors of one value.
func TestGoexitInACodec(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, first := range []string{"get", "load", "many", "set", "store"} {
		t.Run(first, func(t *testing.T) {
			c := newCache(t, tiered.Options[exiting]{Redis: newRedis(t, s, tiered.RedisOptions{})})
			s.Do("SET", "tc:test:k", `"exit"`)
			s.Do("DEL", "tc:test:s")
			batch := func(id string) error {
				_, err := tiered.GetOrLoadMany(t.Context(), c, []string{id}, func(k string) string { return k },
					func(context.Context, []string) (map[string]exiting, error) { return map[string]exiting{id: "ok"}, nil })
				return err
			}
			var wg sync.WaitGroup
			wg.Go(func() { // which may end
				switch first {
				case "get":
					_, _ = c.Get(t.Context(), "k")
				case "load":
					_, _ = c.GetOrLoad(t.Context(), "k", value(exiting("ok")))
				case "many":
					_ = batch("k")
				case "set":
					_ = c.Set(t.Context(), "s", "exit")
				case "store":
					_, _ = c.GetOrLoad(t.Context(), "s", value(exiting("exit")))
				}
			})
			wg.Wait()
			if v, err := c.GetOrLoad(t.Context(), "s", value(exiting("exit"))); err != nil || v != "exit" {
				t.Errorf("a value that can't be stored: %v, %v", v, err)
			}
			if err := c.Set(t.Context(), "s", "exit"); err == nil || !strings.Contains(err.Error(), "Goexit") {
				t.Errorf("Set: %v", err)
			}
			if v, err := c.Get(t.Context(), "k"); err != tiered.ErrNotFound {
				t.Errorf("Get: %v, %v", v, err)
			}
			if err := batch("k"); err != nil {
				t.Errorf("GetOrLoadMany: %v", err)
			}
			if v, err := c.Get(t.Context(), "k"); err != nil || v != "ok" {
				t.Errorf("Get: %v, %v", v, err)
			}
		})
	}
}
