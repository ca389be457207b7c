package codec_test

import (
	"strings"
	"testing"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/codeclist"
)

// codecs are the codecs of the package that encode values themselves, and structured are those of them that can encode values of any
// type. The tests of what each codec must do run over these.
var (
	codecs     = []codec.Codec{codec.JSON, codec.Msgpack, codec.Raw}
	structured = []codec.Codec{codec.JSON, codec.Msgpack}
)

// compressing returns a codec of each kind that compresses what inner encodes.
func compressing(inner codec.Codec, minSize int) []codec.Codec {
	return []codec.Codec{codec.Zstd(inner, minSize), codec.S2(inner, minSize)}
}

// withCompressing returns the codecs, each with those that compress what it encodes.
func withCompressing(inners []codec.Codec, minSize int) (all []codec.Codec) {
	for _, inner := range inners {
		all = append(append(all, inner), compressing(inner, minSize)...)
	}
	return all
}

// Each codec that the package exports is in codecs, or is made in compressing or sealed, under a name like that of its variable
// or function.
func TestCodecsAreListed(t *testing.T) {
	names := make(map[string]bool)
	for _, c := range codecs {
		names[c.Name()] = true
	}
	for _, c := range append(compressing(codec.JSON, 0), sealed(t, codec.JSON)) {
		names[strings.TrimSuffix(c.Name(), "(json)")] = true
	}
	variables, wrappers := codeclist.Exported(t, ".")
	found := append(variables, wrappers...)
	for _, name := range found {
		if !names[strings.ToLower(name)] {
			t.Errorf("the codec %s isn't in codecs, compressing or sealed", name)
		}
	}
	if len(found) != len(names) {
		t.Errorf("found %d codecs, want %d", len(found), len(names))
	}
}
