package codec_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/codec/codectest"
)

// references has a field of every kind that could keep a reference into the input.
type references struct {
	S    string
	N    text
	B    []byte
	Blob blob
	Any  any
	Strs []string
	Map  map[string]string
	Num  json.Number
	Raw  json.RawMessage
}

// conforms tests the codecs with values of a type.
func conforms[T any](t *testing.T, codecs []codec.Codec, equal func(decoded, encoded T) bool, values ...T) {
	t.Helper()
	for _, c := range codecs {
		t.Run(fmt.Sprintf("%s/%T", c.Name(), values), func(t *testing.T) {
			codectest.Run(t, c, codectest.Options[T]{Values: values, Equal: equal})
		})
	}
}

// withAround returns the codecs, each with those that compress and encrypt what it encodes, in several layers, too.
func withAround(t *testing.T, inners ...codec.Codec) []codec.Codec {
	t.Helper()
	all := withCompressing(inners, 200)
	for _, inner := range inners {
		all = append(all, sealed(t, inner), codec.Zstd(codec.S2(inner, 10), 200),
			sealed(t, sealed(t, codec.Zstd(inner, 200), sealKey(strings.Repeat("x", 255), 7))))
	}
	return all
}

func TestConformance(t *testing.T) {
	defer goleak.VerifyNone(t)
	const long = "a string long enough that sharing it would pay"
	refs := references{
		S: long, N: long, B: []byte(long), Blob: blob(long), Any: []any{long, map[string]any{long: long}},
		Strs: []string{long, long}, Map: map[string]string{long: long}, Num: "12345678901234567890", Raw: json.RawMessage(`{"a":[1,2]}`),
	}
	r := rand.New(rand.NewPCG(11, 12))
	accounts := []account{{}, randomAccount(r, 0), randomAccount(r, 3)}
	for i := range accounts {
		equalize(&accounts[i])
	}
	sameAccounts := func(decoded, encoded account) bool { return reflect.DeepEqual(*equalize(&decoded), encoded) }
	conforms(t, withAround(t, append([]codec.Codec{quoted{}}, structured...)...), sameAccounts, accounts...)
	conforms(t, withAround(t, codec.Raw), nil, []byte{}, []byte(long), []byte(strings.Repeat(long, 10)))
	conforms(t, structured, nil, refs)
	conforms(t, structured, nil, &refs)
	conforms(t, structured, nil, refs.Any, nil, 1.5)
	conforms(t, structured, nil, refs.Strs)
	conforms(t, structured, nil, refs.Map)
	conforms(t, structured, nil, []byte(long))
	conforms(t, []codec.Codec{codec.JSON, codec.Raw}, nil, refs.Raw)
	conforms(t, codecs, nil, "", long)
	conforms(t, codecs, nil, text(long))
	conforms(t, codecs, nil, blob(long))
	conforms(t, []codec.Codec{codec.Msgpack, codec.Raw, codec.S2(codec.Raw, 0)}, nil, long, strings.Repeat(long, 6_000)) // its buffer isn't pooled
}
