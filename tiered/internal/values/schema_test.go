package values_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/values"
)

type (
	plain     struct{ A, B int }
	renamed   struct{ A, B int }
	reordered struct{ B, A int }
	retyped   struct {
		A int
		B int64
	}
	tagged struct {
		A int `json:"a"`
		B int
	}
	longer  struct{ A, B, C int }
	private struct {
		A, B int
		c    int
	}
	outer      struct{ Inner plain }
	outerOther struct{ Inner longer }
	embedded   struct{ plain }
	list       struct {
		Value int
		Next  *list
	}
	otherList struct {
		Value int
		Next  *otherList
	}
	longList struct {
		Value int
		Next  *longList
		Prev  *longList
	}
	tree   struct{ Children map[string][]tree }
	secret struct{ n int }
	hidden struct{ m, n int }
)

func (secret) MarshalJSON() ([]byte, error)  { return []byte("1"), nil }
func (*hidden) MarshalText() ([]byte, error) { return nil, nil }

func TestSchema(t *testing.T) {
	_ = private{c: 1}
	_ = secret{n: 1}
	_ = hidden{1, 2}
	base := values.SchemaOf[plain]("")
	for name, tc := range map[string]struct {
		got, of uint64
		same    bool
	}{
		"again":                          {values.SchemaOf[plain](""), base, true},
		"another name of the type":       {values.SchemaOf[renamed](""), base, true},
		"an unexported field more":       {values.SchemaOf[private](""), base, true},
		"another order":                  {values.SchemaOf[reordered](""), base, false},
		"another type of a field":        {values.SchemaOf[retyped](""), base, false},
		"a tag":                          {values.SchemaOf[tagged](""), base, false},
		"a field more":                   {values.SchemaOf[longer](""), base, false},
		"a pointer":                      {values.SchemaOf[*plain](""), base, false},
		"a slice":                        {values.SchemaOf[[]plain](""), values.SchemaOf[[2]plain](""), false},
		"the length of an array":         {values.SchemaOf[[3]plain](""), values.SchemaOf[[2]plain](""), false},
		"a field within":                 {values.SchemaOf[outer](""), values.SchemaOf[outerOther](""), false},
		"embedded":                       {values.SchemaOf[embedded](""), values.SchemaOf[outer](""), false},
		"a map's key":                    {values.SchemaOf[map[string]int](""), values.SchemaOf[map[int]int](""), false},
		"a map's element":                {values.SchemaOf[map[string]int](""), values.SchemaOf[map[string]uint](""), false},
		"a type within itself":           {values.SchemaOf[list](""), values.SchemaOf[otherList](""), true},
		"another type within itself":     {values.SchemaOf[list](""), values.SchemaOf[longList](""), false},
		"within a map and a slice":       {values.SchemaOf[tree](""), values.SchemaOf[list](""), false},
		"types that encode themselves":   {values.SchemaOf[secret](""), values.SchemaOf[hidden](""), false},
		"one that does, and its content": {values.SchemaOf[time.Time](""), values.SchemaOf[time.Duration](""), false},
		"a version":                      {values.SchemaOf[plain]("1"), base, false},
		"a version of another type":      {values.SchemaOf[plain]("1"), values.SchemaOf[longer]("1"), true},
		"another version":                {values.SchemaOf[plain]("1"), values.SchemaOf[plain]("2"), false},
		"an interface":                   {values.SchemaOf[any](""), values.SchemaOf[error](""), true},
		"text and bytes":                 {values.SchemaOf[string](""), values.SchemaOf[[]byte](""), false},
	} {
		if (tc.got == tc.of) != tc.same || tc.got == 0 {
			t.Errorf("%s: %x and %x", name, tc.got, tc.of)
		}
	}
}

// The fingerprint is part of the format in Redis: it is the same in every build and on every machine.
func TestSchemaIsStable(t *testing.T) {
	type user struct {
		ID      int64     `json:"id"`
		Name    string    `msgpack:"name"`
		Created time.Time `json:",omitempty"`
		Friends map[string]*user
		note    string
	}
	_ = user{note: ""}
	if got := values.SchemaOf[user](""); got != 0x6c622afb1fd8dcce {
		t.Errorf("%#x", got)
	}
	if got := values.SchemaOf[user]("2"); got != 0x706eb406152e0145 {
		t.Errorf("%#x", got)
	}
}
