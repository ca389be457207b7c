package keys_test

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/keys"
)

type search struct {
	Text  string
	Tags  []string
	Limit int
	since time.Time
}

type searchReordered struct {
	since time.Time
	Limit int
	_     int
	Tags  []string
	Text  string
}

type celsius float64

type instant time.Time

type ring struct{ next *ring }

// These must never change: they are in other processes' keys.
func TestDigestVectors(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	vectors := []struct {
		value any
		want  string
	}{
		{nil, "19041ad672875015bc4041c24b581eaf"},
		{true, "b9e43f9d46e69b3408cb51600a5aad12"},
		{"text", "98684124302f91ff680d981275690e98"},
		{[]byte("text"), "7a791346cd1721cc68ab67090f6377b1"},
		{42, "0faae6ddbcef50a40b4a2c935479ea9d"},
		{int8(-1), "e51c552aa9025f1029ada6eb21a685ac"},
		{uint64(math.MaxUint64), "264536960cf29bb44e9ea2cd98b52cb0"},
		{1.5, "3645d05ede6d3b955c1fcb90558f4934"},
		{float32(1.5), "b3f094c2ed61afcf97e4438a6c39e63d"},
		{complex(1, -2), "a889992e0f1d2e528fbb23c1b7b76384"},
		{math.NaN(), "da8030350909b3dbac4dfd7d0d91b910"},
		{at, "284b540ba6f7b840bb24c66b1f7e5c50"},
		{[]any{1, "a", nil}, "e09475398f54dd6cd9c8f030b4c2e163"},
		{[2]bool{true, false}, "cd73de489861f27e869d1518bf30961c"},
		{map[string]int{"b": 2, "a": 1}, "224c2d1ff6dbc0dd5e84045a7eb1bb69"},
		{search{Text: "go", Tags: []string{"x", ""}, Limit: 20, since: at}, "129bab362cd42c5498938754d8d7ba28"},
	}
	for _, v := range vectors {
		if got := keys.Digest(v.value); got != v.want {
			t.Errorf("Digest(%#v) = %q, want %q", v.value, got, v.want)
		}
	}
}

func TestDigestForm(t *testing.T) {
	if got := keys.Digest(search{}); !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(got) {
		t.Errorf("got %q", got)
	}
}

func TestDigestEqual(t *testing.T) {
	at := time.Now()
	n, s := 1, search{Text: "go", since: at}
	p := &n
	many := map[any]int{}
	for i := range 100 {
		many[i], many[fmt.Sprint(i)] = i, i
	}
	again := map[any]int{}
	for i := 99; i >= 0; i-- {
		again[fmt.Sprint(i)], again[i] = i, i
	}
	pairs := [][2]any{
		{n, p}, {n, &p}, {s, &s}, {nil, (*int)(nil)}, {nil, (**int)(nil)}, {[]any{nil}, []*int{nil}},
		{s, searchReordered{Text: "go", since: at}},
		{s, search{Text: "go", since: at.In(time.FixedZone("", 3600)).Round(0)}},
		{at, at.UTC()}, {at, instant(at.UTC())}, {[]instant{instant(at)}, []time.Time{at.UTC()}},
		{celsius(1.5), 1.5}, {many, again}, {[]int{1, 2}, []any{1, &n2}},
		{math.NaN(), -math.NaN()}, {math.NaN(), math.Float64frombits(math.Float64bits(math.NaN()) ^ 1<<63 ^ 1<<5)},
		{map[*int]string{&n: "a"}, map[int]string{1: "a"}}, {[]string(nil), []byte(nil)}, {[]string{}, []int{}},
		{netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("fe80:0::1%eth0")},
	}
	for _, pair := range pairs {
		if keys.Digest(pair[0]) != keys.Digest(pair[1]) {
			t.Errorf("%#v and %#v differ", pair[0], pair[1])
		}
	}
}

var n2 = 2

func TestDigestDifferent(t *testing.T) {
	type two struct{ A, B string }
	type nested struct {
		In  two
		Ptr *two
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	values := []any{
		nil, false, true, 0, 1, int8(1), int16(1), int32(1), int64(1), uint(1), uint8(1), uint16(1), uint32(1), uint64(1), uintptr(1),
		float32(1), 1.0, complex64(1), complex128(1), complex(1, 1), 0.0, math.Copysign(0, -1), math.NaN(), math.Inf(1), -1,
		"", "1", "a", "ab", "\x00", []byte{}, []byte("a"), []byte("ab"), [1]byte{'a'}, [0]byte{},
		[]string(nil), []string{}, []string{""}, []string{"", ""}, []string{"a", "b"}, []string{"ab", ""}, []string{"ab"}, [2]string{"a", "b"},
		[][]string{{"a"}, {"b"}}, [][]string{{"a", "b"}}, [][]string{{"a", "b"}, {}}, [][]string{{"a", "b"}, nil}, []any{nil}, []any{nil, nil},
		[]rune("a"), map[string]string(nil), map[string]string{}, map[string]string{"a": "b"}, map[string]string{"b": "a"}, map[string]any{"a": nil},
		map[string]string{"a": "b", "c": "d"}, map[string]string{"a": "d", "c": "b"}, []string{"a", "b", "c", "d"}, map[float64]int{math.NaN(): 1, 1: 1},
		struct{}{}, two{}, two{"a", "b"}, two{"b", "a"}, two{"ab", ""}, struct{ A, C string }{"a", "b"}, struct{ A string }{"a"},
		nested{}, nested{Ptr: &two{}}, nested{In: two{"a", ""}}, nested{Ptr: &two{"a", ""}}, search{}, search{Tags: []string{}}, search{since: at},
		search{since: at.Add(1)}, at, at.Add(1), at.Unix(), time.Time{}, time.Duration(2), struct{ time.Time }{at},
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fe80::1%a"), netip.MustParseAddr("fe80::1%b"),
	}
	seen := map[string]any{}
	for _, v := range values {
		digest := keys.Digest(v)
		if other, ok := seen[digest]; ok {
			t.Errorf("%#v and %#v have the same digest", v, other)
		}
		seen[digest] = v
	}
}

func TestDigestPanics(t *testing.T) {
	self := &ring{}
	self.next = self
	list := []any{nil}
	list[0] = list
	dict := map[string]any{}
	dict["self"] = dict
	values := map[string]any{
		"no data": []any{make(chan int), func() {}, (func())(nil), struct{ C chan int }{}, map[string]any{"f": func() {}}},
		"cyclic":  []any{self, list, dict},
	}
	for what, bad := range values {
		for _, v := range bad.([]any) {
			message := ""
			func() {
				defer func() { message = fmt.Sprint(recover()) }()
				keys.Digest(v)
			}()
			if !strings.HasPrefix(message, "keys: Digest: ") || !strings.Contains(message, what) {
				t.Errorf("%T: panic %q, want one of %q", v, message, what)
			}
		}
	}
	var deep *ring
	for range 9_000 / 2 {
		deep = &ring{deep}
	}
	keys.Digest(deep) // deep, but not cyclic
}

// Digesting one value from many goroutines is reading.
func TestDigestConcurrently(t *testing.T) {
	v := &search{Text: "go", since: time.Unix(1, 2)}
	want := keys.Digest(v)
	done := make(chan string)
	for range 8 {
		go func() { done <- keys.Digest(v) }()
	}
	for range 8 {
		if got := <-done; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzDigest(f *testing.F) {
	f.Add("a", "b", []byte("c"), int64(1), "a", "bc", []byte(""), int64(1))
	f.Fuzz(func(t *testing.T, a1, b1 string, c1 []byte, d1 int64, a2, b2 string, c2 []byte, d2 int64) {
		equal := a1 == a2 && b1 == b2 && bytes.Equal(c1, c2) && d1 == d2
		shapes := []func(a, b string, c []byte, d int64) any{
			func(a, b string, c []byte, d int64) any { return []any{a, b, c, d} },
			func(a, b string, c []byte, d int64) any { return map[any]any{1: a, 2: b, 3: c, 4: d} },
			func(a, b string, c []byte, d int64) any {
				return struct {
					A, b string
					C    []byte
					d    *int64
				}{a, b, c, &d}
			},
			func(a, b string, c []byte, d int64) any { return [][]any{{a, b}, {string(c)}, {d}} },
		}
		seen := map[string]bool{}
		for _, shape := range shapes {
			x, y := keys.Digest(shape(a1, b1, append([]byte{}, c1...), d1)), keys.Digest(shape(a2, b2, append([]byte{}, c2...), d2))
			if (x == y) != equal {
				t.Errorf("%#v: %s and %s", shape(a1, b1, c1, d1), x, y)
			}
			seen[x] = true
		}
		if len(seen) != len(shapes) {
			t.Error("values of different shapes have the same digest")
		}
	})
}

func BenchmarkDigest(b *testing.B) {
	v := search{Text: "go", Tags: []string{"cache", "redis"}, Limit: 20, since: time.Unix(1, 2)}
	b.ReportAllocs()
	for b.Loop() {
		keys.Digest(&v)
	}
}
