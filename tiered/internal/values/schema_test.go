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
	number      int
	namedFields struct {
		A int
		B number
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
	tree      struct{ Children map[string][]tree }
	cborOne   struct{ n int }
	cborTwo   struct{ s string }
	secret    struct{ n int }
	hidden    struct{ m, n int }
	sealed    struct{ A, B int }
	sealedToo struct{ A, B, C int }
)

func (secret) MarshalJSON() ([]byte, error)      { return []byte("1"), nil }
func (sealed) MarshalBinary() ([]byte, error)    { return nil, nil }
func (*cborOne) MarshalCBOR() ([]byte, error)    { return nil, nil }
func (*cborTwo) MarshalCBOR() ([]byte, error)    { return nil, nil }
func (sealedToo) MarshalBinary() ([]byte, error) { return nil, nil }
func (*hidden) MarshalText() ([]byte, error)     { return nil, nil }

func TestSchema(t *testing.T) {
	_ = private{c: 1}
	_, _ = cborOne{n: 1}, cborTwo{s: ""}
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
		"a named basic type":             {values.SchemaOf[namedFields](""), base, true},
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
		"by a codec of their own":        {values.SchemaOf[cborOne](""), values.SchemaOf[cborTwo](""), false},
		"a field of a type that does":    {values.SchemaOf[sealed](""), values.SchemaOf[sealedToo](""), false},
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

// Types that refer to each other are described in time that grows with their number, not with that of the paths among them.
func TestSchemaOfAGraph(t *testing.T) {
	type (
		a struct{ A, B, C, D *node }
		b struct{ A, B, C, D *a }
		c struct{ A, B, C, D *b }
		d struct{ A, B, C, D map[string]*c }
	)
	done := make(chan uint64)
	go func() { done <- values.SchemaOf[[]d]("") }()
	select {
	case schema := <-done:
		if schema == values.SchemaOf[[]c]("") {
			t.Error("another graph has the same schema")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it doesn't end")
	}
}

// The nodes refer to all others, twice.
type (
	node struct {
		N0, N1 *n0
		A      [2]*n1
		B      []*n2
	}
	n0 struct {
		A, B *n1
		C, D *n2
		E, F *n3
		G, H *n4
	}
	n1 struct {
		A, B *n0
		C, D *n2
		E, F *n3
		G, H *n4
	}
	n2 struct {
		A, B *n0
		C, D *n1
		E, F *n3
		G, H *n5
	}
	n3 struct {
		A, B *n0
		C, D *n1
		E, F *n2
		G, H *n6
	}
	n4 struct {
		A, B *n5
		C, D *n6
		E, F *n7
		G, H *n0
	}
	n5 struct {
		A, B *n4
		C, D *n6
		E, F *n7
		G, H *n1
	}
	n6 struct {
		A, B *n4
		C, D *n5
		E, F *n7
		G, H *n2
	}
	n7 struct {
		A, B *n4
		C, D *n5
		E, F *n6
		G, H *n3
	}
)

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
	if got := values.SchemaOf[user](""); got != 0xa78f3e581973f721 {
		t.Errorf("%#x", got)
	}
	if got := values.SchemaOf[user]("2"); got != 0x706eb406152e0145 {
		t.Errorf("%#x", got)
	}
}
