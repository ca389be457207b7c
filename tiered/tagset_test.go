package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// hasTags checks the tags that a cache shows of a key.
func hasTags(t testing.TB, c *tiered.Cache[string], key string, want ...string) {
	t.Helper()
	if e, err := c.Lookup(t.Context(), key); err != nil || !slices.Equal(e.Tags, want) {
		t.Errorf("%s: the tags %q, %v; want %q", key, e.Tags, err, want)
	}
}

// A loader that appends a tag on each refresh gets an entry with that tag once.
func TestTagsDoNotGrow(t *testing.T) {
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
			if len(e.Tags) > 2 {
				t.Fatalf("the loader gets %d tags", len(e.Tags))
			}
			e.Tags = append(e.Tags, "users", "admins")
			return "v", nil
		}
		for range 300 {
			if _, err := c.Refresh(t.Context(), "k", load); err != nil {
				t.Fatal(err)
			}
		}
		hasTags(t, c, "k", "admins", "users")
	})
}

// Tags are a set by whatever way they come.
func TestTagsAreASet(t *testing.T) {
	given, want := []string{"c", "a", "b", "a", "c"}, []string{"a", "b", "c"}
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		ctx := t.Context()
		if err := errors.Join(c.Set(ctx, "set", "v", given...), c.SetMany(ctx, map[string]string{"many": "v"}, given...)); err != nil {
			t.Fatal(err)
		}
		gets(t, c, "loaded", tagged("v", given...), "v")
		for _, key := range []string{"set", "many", "loaded"} {
			hasTags(t, c, key, want...)
		}
		if fmt.Sprint(given) != "[c a b a c]" {
			t.Errorf("the caller's tags became %q", given)
		}
		if err := c.InvalidateTags(ctx, "b", "b", "z"); err != nil {
			t.Fatal(err)
		}
		if got, err := c.GetMany(ctx, "set", "many", "loaded"); len(got) > 0 || err != nil {
			t.Errorf("invalidated: %v, %v", got, err)
		}
	})
}

// wrongTags are tags that an entry can't have, and what the error says of them.
var wrongTags = map[string][]string{
	"an entry has 129 tags: want at most 128": manyTags("tag", 129),
	`the tag "" has 0 bytes: want 1 to 256`:   {"a", ""},
	`x" has 257 bytes: want 1 to 256`:         {strings.Repeat("x", 257)},
}

// With tags that an entry can't have a write changes nothing, and a load fails: callers get no value that no InvalidateTags
// would reach.
func TestWrongTags(t *testing.T) {
	places(t, func(t *testing.T, c *tiered.Cache[string]) {
		ctx := t.Context()
		for says, tags := range wrongTags {
			set(t, c, "k", "old", "fine")
			for name, err := range map[string]error{
				"Set":       c.Set(ctx, "k", "new", tags...),
				"SetMany":   c.SetMany(ctx, map[string]string{"k": "new", "l": "new"}, tags...),
				"Refresh":   second(c.Refresh(ctx, "k", tagged("new", tags...))),
				"GetOrLoad": second(c.GetOrLoad(ctx, "l", tagged("new", tags...))),
				"absent": second(c.GetOrLoad(ctx, "l", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
					e.Tags = tags
					return "", tiered.ErrNotFound
				})),
			} {
				if err == nil || errors.Is(err, tiered.ErrNotFound) || !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %v; want one that says %q", name, err, says)
				}
				if loaded := !strings.HasPrefix(name, "Set"); loaded && err != nil && !strings.Contains(err.Error(), `"k"`) && !strings.Contains(err.Error(), `"l"`) {
					t.Errorf("%s: the error names no key: %v", name, err)
				}
			}
			if got, err := c.GetMany(ctx, "k", "l"); err != nil || len(got) != 1 || got["k"] != "old" {
				t.Errorf("%s: %v, %v", says, got, err)
			}
		}
		for says, tags := range wrongTags {
			err := c.InvalidateTags(ctx, append([]string{"fine"}, tags...)...)
			if tooMany := len(tags) > 2; tooMany != (err == nil) || !tooMany && !strings.Contains(err.Error(), says) {
				t.Errorf("InvalidateTags: %v; want %q", err, says)
			}
			set(t, c, "k", "old", "fine")
		}
	})
}

// The bounds themselves are in, and each of the tags invalidates the value.
func TestMostTags(t *testing.T) {
	t.Parallel()
	for mode, how := range listeningModes {
		t.Run(mode, func(t *testing.T) {
			_, a, b := twoProcesses(t, how)
			tags := manyTags(strings.Repeat("x", 253), 128)
			for i, tag := range tags {
				tags[i] = tag[len(tag)-min(len(tag), 256):]
			}
			slices.Sort(tags)
			set(t, a, "k", "v", append(slices.Clone(tags), tags...)...)
			keep(t, b, "k", "v")
			hasTags(t, b, "k", tags...)
			if err := a.InvalidateTags(t.Context(), tags[77]); err != nil {
				t.Fatal(err)
			}
			follows(t, b, "k", "")
		})
	}
}

// A stale value is served in place of a load that fails by its tags, as for any other failure.
func TestWrongTagsWithAFallback(t *testing.T) {
	t.Parallel()
	c := newProcess(t, redistest.Start(t), tiered.RedisOptions{}, tiered.Policy{StaleIfError: longLived.TTL})
	set(t, c, "k", "old")
	if err := c.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	gets(t, c, "k", tagged("new", manyTags("tag", 129)...), "old")
}
