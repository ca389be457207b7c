package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func sealing(t *testing.T, inner codec.Codec, ids ...string) codec.Codec {
	t.Helper()
	var keys []codec.SealKey
	for _, id := range ids {
		keys = append(keys, codec.SealKey{ID: id, Secret: bytes.Repeat([]byte(id), 32)})
	}
	c, err := codec.Sealed(inner, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Processes with the secret share values that Redis has no word of, whatever call writes and reads them.
func TestSealedValues(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := process[string](t, s, sealing(t, codec.JSON, "1")), process[string](t, s, sealing(t, codec.JSON, "2", "1"))
	secret := func(key string) string { return "the secret of " + key }
	load := func(_ context.Context, e *tiered.Entry[string]) (string, error) { return secret(e.Key), nil }
	if _, err := a.GetOrLoad(t.Context(), "loaded", load); err != nil {
		t.Fatal(err)
	}
	if err := a.Set(t.Context(), "set", secret("set"), "tag"); err != nil {
		t.Fatal(err)
	}
	if err := a.SetMany(t.Context(), map[string]string{"many:1": secret("many:1"), "many:2": secret("many:2")}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"loaded", "set", "many:1", "many:2"} {
		if v, ok := s.Do("GET", "tc:t:"+key).(string); !ok || strings.Contains(v, "secret") {
			t.Errorf("Redis has %q", v)
		}
	}
	if v, err := b.Get(t.Context(), "loaded"); v != secret("loaded") {
		t.Errorf("%q, %v", v, err)
	}
	values, err := b.GetMany(t.Context(), "set", "many:1", "many:2")
	for _, key := range []string{"set", "many:1", "many:2"} {
		if values[key] != secret(key) {
			t.Errorf("%s: %q, %v", key, values[key], err)
		}
	}
	if k, err := b.Inspect(t.Context(), "set"); err != nil || len(k.Remote.Frames) != 1 || k.Remote.Frames[0].Value != any(secret("set")) {
		t.Errorf("%+v, %v", k.Remote.Frames, err)
	}
	if n := b.Stats().CodecErrors; n != 0 {
		t.Errorf("%d errors of the codec", n)
	}
}

// What was put under a key by somebody without the secret isn't served: neither another key's value nor one that isn't sealed.
func TestSealedValuesOfOthers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := sealing(t, codec.JSON, "1")
	a, b := process[string](t, s, c), process[string](t, s, c)
	if err := a.Set(t.Context(), "admin", "may do everything"); err != nil {
		t.Fatal(err)
	}
	s.Do("COPY", "tc:t:admin", "tc:t:guest")
	s.Do("SET", "tc:t:visitor", `"may do everything"`)
	for _, key := range []string{"guest", "visitor"} {
		before := b.Stats().CodecErrors
		if v, err := b.Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%s: %q, %v", key, v, err)
		}
		if n := b.Stats().CodecErrors; n != before+1 {
			t.Errorf("%s: %d errors of the codec", key, n-before)
		}
		if v, err := b.GetOrLoad(t.Context(), key, value("may read")); err != nil || v != "may read" {
			t.Errorf("%s: %q, %v", key, v, err)
		}
		if v, err := process[string](t, s, c).Get(t.Context(), key); err != nil || v != "may read" {
			t.Errorf("%s after a load: %q, %v", key, v, err)
		}
	}
}

// A codec around Sealed doesn't tell it the key, so no value could be stored, and New says so.
func TestSealedInside(t *testing.T) {
	t.Parallel()
	r := newRedis(t, redistest.Start(t), tiered.RedisOptions{})
	_, err := tiered.New(tiered.Options[string]{Name: "t", Redis: r, Codec: codec.S2(sealing(t, codec.JSON, "1"), 0)})
	var wrong *codec.TypeError
	if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "tiered: Options.Codec") {
		t.Error(err)
	}
	// The trial looks into Sealed as into the compressing codecs.
	type hidden struct{ a int }
	if _, err := tiered.New(tiered.Options[hidden]{Name: "t", Redis: r, Codec: sealing(t, codec.Zstd(codec.JSON, 0), "1")}); err == nil {
		t.Error("a type whose values JSON loses")
	}
	_ = hidden{}.a
}
