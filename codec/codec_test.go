package codec_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
)

type user struct {
	ID      int64     `json:"id" msgpack:"id"`
	Name    string    `json:"name" msgpack:"name"`
	Email   string    `json:"email" msgpack:"email"`
	Created time.Time `json:"created" msgpack:"created"`
	Active  bool      `json:"active" msgpack:"active"`
	Tags    []string  `json:"tags" msgpack:"tags"`
}

type address struct {
	Street string
	Zip    *int `json:",omitempty" msgpack:",omitempty"`
}

// account has a field of every shape that both structured codecs know.
type account struct {
	address
	Owner  user
	Photo  []byte
	Limits map[string]float64
	Scores map[int16]uint32
	Parent *account
	Grid   [2][]int8
	Extra  any
	Ratio  float32
}

func users(n int) []user {
	us := make([]user, n)
	for i := range us {
		us[i] = user{
			ID: int64(1000 + i), Name: fmt.Sprintf("User Number %d", i), Email: fmt.Sprintf("user%d@example.com", i),
			Created: time.Date(2026, 1, 2, 3, i, 5, 123456000, time.UTC), Active: i%3 != 0, Tags: []string{"admin", "beta"},
		}
	}
	return us
}

func TestNames(t *testing.T) {
	want := []string{"json", "msgpack", "raw"} // values are stored with them
	for i, c := range codecs {
		if i >= len(want) || c.Name() != want[i] {
			t.Errorf("codec %d has the name %q; want %q", i, c.Name(), want)
		}
	}
}

func randomString(r *rand.Rand) string {
	runes := []rune("aZ09 \"\\<&>\n\x00\x7fé世😀\u2028:{}[]")
	s := make([]rune, r.IntN(12))
	for i := range s {
		s[i] = runes[r.IntN(len(runes))]
	}
	return string(s)
}

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(40))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func randomUser(r *rand.Rand) user {
	u := user{ID: int64(r.Uint64()), Name: randomString(r), Email: randomString(r), Active: r.IntN(2) == 0}
	if r.IntN(4) > 0 {
		u.Created = time.Unix(r.Int64N(1<<34), r.Int64N(1e9))
	}
	for range r.IntN(4) {
		u.Tags = append(u.Tags, randomString(r))
	}
	return u
}

func randomAccount(r *rand.Rand, depth int) account {
	a := account{Owner: randomUser(r), Photo: randomBytes(r), Ratio: r.Float32()}
	a.Street = randomString(r)
	if r.IntN(2) == 0 {
		zip := int(r.Int32())
		a.Zip = &zip
	}
	if r.IntN(2) == 0 {
		a.Limits = map[string]float64{randomString(r): r.NormFloat64() * 1e30, "x": -0.5}
	}
	if r.IntN(2) == 0 {
		a.Scores = map[int16]uint32{int16(r.Uint32()): r.Uint32(), 1: 2}
	}
	for i := range a.Grid {
		a.Grid[i] = []int8{int8(r.Uint32()), 0}[:r.IntN(3)]
	}
	switch r.IntN(4) {
	case 0:
		a.Extra = randomString(r)
	case 1:
		a.Extra = r.NormFloat64()
	case 2:
		a.Extra = map[string]any{"list": []any{true, nil, randomString(r)}, "empty": map[string]any{}}
	}
	if depth > 0 {
		parent := randomAccount(r, depth-1)
		a.Parent = &parent
	}
	return a
}

// equalize gives times that are the same instant the same form.
func equalize(a *account) *account {
	for p := a; p != nil; p = p.Parent {
		p.Owner.Created = p.Owner.Created.UTC()
	}
	return a
}

func TestRoundTrip(t *testing.T) {
	for _, c := range structured {
		t.Run(c.Name(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 1000 {
				want := randomAccount(r, r.IntN(3))
				data, err := c.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				var got account
				if err := c.Unmarshal(data, &got); err != nil {
					t.Fatalf("%v\n%q", err, data)
				}
				if !reflect.DeepEqual(equalize(&got), equalize(&want)) {
					t.Fatalf("got  %+v\nwant %+v", got, want)
				}
			}
		})
	}
}

// Append is Marshal behind what is there already, with room for it and without.
func TestAppend(t *testing.T) {
	values := []any{"", strings.Repeat("what repeats gets smaller. ", 100), []byte("<bytes>"), blob(strings.Repeat("x", 300_000)), users(1), users(200), nil, make(chan int)}
	for _, c := range withCompressing(append([]codec.Codec{quoted{}}, codecs...), 0) {
		for _, v := range values {
			want, wantErr := c.Marshal(v)
			for _, room := range []int{0, 10, 1 << 16} {
				got, err := codec.Append(c, append(make([]byte, 0, 6+room), "prefix"...), v)
				if (err != nil) != (wantErr != nil) || err == nil && string(got) != "prefix"+string(want) {
					t.Errorf("%s of a %T: %.80q, %v; want %.80q, %v", c.Name(), v, got, err, want, wantErr)
				}
			}
		}
	}
}

type blob []byte

type text string

func TestUnmarshalTargets(t *testing.T) {
	for _, c := range codecs {
		data := []byte{0x31} // "1" to all of them
		for _, target := range []any{nil, "not a pointer", (*string)(nil), (*[]string)(nil), (*user)(nil)} {
			if err := c.Unmarshal(data, target); err == nil {
				t.Errorf("%s decoded into %#v", c.Name(), target)
			}
		}
	}
}
