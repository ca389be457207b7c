package main

import (
	"encoding/xml"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
)

func open(t *testing.T) *results {
	t.Helper()
	f, err := os.Open("testdata/growth.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParse(t *testing.T) {
	r := open(t)
	for _, of := range []struct {
		series
		want []point
	}{
		{series{"keys", "ns/op", "local-hit", "ristretto"}, []point{{10_000, 120}, {100_000, 220}}},
		{series{"keys", "ns/op", "local-hit", "tiercache"}, []point{{10_000, 100}, {100_000, 250}}},
		{series{"keys", "B/entry", "local-hit", "tiercache"}, []point{{10_000, 560}, {100_000, 500}}},
		{series{"bytes", "ns/op", "set", "go-redis"}, []point{{100, 20_000}, {1_000_000, 1_500_000}}},
		{series{"bytes", "B/entry", "set", "go-redis"}, nil},
	} {
		if got := r.points(of.series); !reflect.DeepEqual(got, of.want) {
			t.Errorf("%v: got %v: want %v", of.series, got, of.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, in := range []string{
		"",
		"BenchmarkOther/impl=x-2 1 2 ns/op",
		"BenchmarkGrowth/axis=keys/cost=set/impl=x-2 1 2 ns/op",
		"BenchmarkGrowth/axis=keys/n=0/cost=set/impl=x-2 1 2 ns/op",
		"BenchmarkGrowth/axis=keys/n=1/impl=x-2 1 2 ns/op",
		"BenchmarkGrowth/axis=keys/n=1/cost=set/impl=x-2 1 two ns/op",
		"BenchmarkGrowth/axis=keys/n=1/cost=set/impl=x-2 1 0 ns/op", // has no logarithm
	} {
		if r, err := parse(strings.NewReader(in)); err == nil {
			t.Errorf("%q: got %v: want an error", in, r)
		}
	}
}

// The picture is XML, and has every point of the results once, within the frame.
func TestSVG(t *testing.T) {
	r := open(t)
	picture := drawSVG(growthTitle, charts(r))
	titles := make(map[string]int)
	points := 0
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "circle" {
				points++
			}
		case xml.CharData:
			titles[string(token)]++
		}
	}
	want := 0
	for _, s := range r.order {
		want += len(r.points(s))
	}
	if points != want || want == 0 {
		t.Errorf("got %d points: want %d", points, want)
	}
	for _, title := range []string{
		"ristretto, local hit, 100k: 220 ns",
		"tiercache, memory, 10k: 560 B",
		"go-redis, set, 1 MB: 1.5 ms",
	} {
		if titles[title] != 1 {
			t.Errorf("%q occurs %d times: want it once", title, titles[title])
		}
	}
	if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
		t.Error("a coordinate isn't a number")
	}
}

func TestTable(t *testing.T) {
	const want = `| tiercache, and its ratio to the floor |  |  |  |
|---|---|---|---|
| **keys in the local tier: time per operation** | **10k** | **100k** | **last ÷ first** |
| local hit ÷ ristretto | 100 ns (0.83) | 250 ns (1.1) | 2.5 |
| **size of a value: time per operation** | **100 B** | **1 MB** | **last ÷ first** |
| set ÷ go-redis | 40 µs (2.0) | 1.8 ms (1.2) | 45 |
| **keys in the local tier: bytes per entry** | **10k** | **100k** | **last ÷ first** |
| memory ÷ ristretto | 560 B (1.6) | 500 B (1.7) | 0.89 |
`
	if got := drawTable(charts(open(t))); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestQuantity(t *testing.T) {
	c := chart{unit: "ns/op"}
	for cost, want := range map[float64]string{
		0.5: "0.5 ns", 9.94: "9.9 ns", 9.96: "10 ns", 999: "999 ns", 999.7: "1.0 µs", 1000: "1 µs", 12_345: "12 µs", 2.5e9: "2.5 s", 5e12: "5000 s",
	} {
		if got := c.amount(cost); got != want {
			t.Errorf("%v ns: got %q: want %q", cost, got, want)
		}
	}
}
