package wire_test

import (
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/wire"
)

func TestKeys(t *testing.T) {
	k := wire.NewKeys("tc:", "users")
	for key, want := range map[string]struct {
		kind wire.Kind
		of   string
	}{
		k.Value("a:!{}"):    {wire.ValueKey, "a:!{}"},
		k.Value(""):         {wire.ValueKey, ""},
		k.Lease("a:b"):      {wire.LeaseKey, "a:b"},
		k.Tag("x!era"):      {wire.TagKey, "x!era"},
		k.Epoch:             {wire.EpochKey, ""},
		k.Seq:               {wire.SeqKey, ""},
		"tc:users!other{1}": {wire.OtherKey, ""},
	} {
		name, rest := wire.CutName("tc:", key)
		kind, of := wire.ParseRest(rest)
		if name != "users" || kind != want.kind || of != want.of {
			t.Errorf("%s is of the cache %q, kind %d of %q: want users, %d of %q", key, name, kind, of, want.kind, want.of)
		}
	}
	for _, key := range []string{"", "tc:", "tc:users", "other:users:k", wire.ControlPrefix("tc:") + "id:mark"} {
		if name, _ := wire.CutName("tc:", key); name != "" {
			t.Errorf("%q is taken for a key of the cache %q", key, name)
		}
	}
}

// Redis may report any key under the prefix.
func FuzzKeys(f *testing.F) {
	k := wire.NewKeys("tc:", "users")
	for _, key := range []string{k.Value("a"), k.Lease("a"), k.Tag("a"), k.Epoch, k.Seq, "tc:!id", "tc:users!"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, rest := wire.CutName("tc:", key)
		if name == "" {
			return
		}
		own := wire.NewKeys("tc:", name)
		switch kind, of := wire.ParseRest(rest); kind {
		case wire.ValueKey:
			if own.Value(of) != key {
				t.Errorf("%q was read as the value of %q", key, of)
			}
		case wire.LeaseKey:
			if own.Lease(of) != key {
				t.Errorf("%q was read as the lease of %q", key, of)
			}
		case wire.TagKey:
			if own.Tag(of) != key {
				t.Errorf("%q was read as the tag %q", key, of)
			}
		}
	})
}
