package codec_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
)

type shout string

func (s *shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(*s))), nil }

type inner struct {
	F string `json:"f,omitempty"`
}

type outer struct {
	*inner
	Code int `json:"code"`
}

type node struct{ Next *node }

// The values on which encoders that imitate encoding/json were seen to differ from it.
func TestJSONEncodesLikeStdlib(t *testing.T) {
	word := shout("abc")
	pointer := &word
	cycle := &node{}
	cycle.Next = cycle
	values := map[string]any{
		"pointer to pointer to TextMarshaler": struct{ P **shout }{&pointer},
		"array, not addressable":              [1]shout{"abc"},
		"slice, addressable":                  []shout{"abc"},
		"omitzero": struct {
			T time.Time `json:"t,omitzero"`
		}{},
		"omitempty in an embedded pointer": outer{inner: &inner{"x"}},
		"nil embedded pointer":             outer{},
		"string tag on a nil pointer": struct {
			P *int `json:",string"`
		}{},
		"controls":          "\b\f\n\r\t\x00\x7f",
		"invalid UTF-8":     "\xff<&>\u2028",
		"nil and empty":     [][]int{nil, {}},
		"sorted keys":       map[int]string{10: "a", 9: "b"},
		"number":            json.Number("1.5"),
		"number that isn't": json.Number("1x"),
		"year 10000":        time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		"NaN":               math.NaN(),
		"channel":           make(chan int),
		"cycle":             cycle,
	}
	for name, v := range values {
		want, wantErr := json.Marshal(v)
		got, err := codec.JSON.Marshal(v)
		if string(got) != string(want) || (err != nil) != (wantErr != nil) {
			t.Errorf("%s: got %s, %v; want %s, %v", name, got, err, want, wantErr)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "codec: ") {
			t.Errorf("%s: error %q", name, err)
		}
	}
}

func TestJSONDecodesLikeStdlib(t *testing.T) {
	type target struct {
		A    int
		Str  int `json:"str,string"`
		B    []byte
		N    json.Number
		T    time.Time
		Next *node
		Raw  json.RawMessage
		Chan chan int
		Any  any
	}
	inputs := []string{
		``, ` `, `{}x`, `{} {}`, `{"a":1,"A":2}`, `{"str":"01"}`, `{"ſtr":"5"}`, `{"N":"1"}`, `{"N":1.5}`, `{"Chan":null}`,
		`{"T":"2024-01-01T00:00:00,5Z"}`, `{"B":"AQ=="}`, `{"B":"!"}`, `{"Any":"\ud800"}`, "{\"Any\":\"\xff\"}", `{"Any":1e400}`, `{"A":1.0}`,
		`{"unknown":[}`, `{"unknown":01}`, strings.Repeat("[", 10_001), strings.Repeat("[", 5_000_000),
		`{"Any":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`,
	}
	for _, in := range inputs {
		var want, got target
		wantErr := json.Unmarshal([]byte(in), &want)
		err := codec.JSON.Unmarshal([]byte(in), &got)
		if (err != nil) != (wantErr != nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%.40q: got %+v, %v; want %+v, %v", in, got, err, want, wantErr)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "codec: ") {
			t.Errorf("%.40q: error %q", in, err)
		}
	}
}
