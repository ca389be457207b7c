package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func openScale(t *testing.T) *scaling {
	t.Helper()
	f, err := os.Open("testdata/scale.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := parseScale(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseScaleErrors(t *testing.T) {
	for _, in := range []string{
		"",
		"BenchmarkGrowth/axis=keys/n=1/cost=set/impl=x-2 1 2 ns/op",
		"BenchmarkScale/names=one/rate=1000/impl=x-2 1 2 redis-µs/set",
		"BenchmarkScale/names=one/rate=fast/trackers=1/impl=x-2 1 2 redis-µs/set",
		"BenchmarkScale/names=one/rate=1000/trackers=0/impl=x-2 1 2 redis-µs/set",
		"BenchmarkScale/names=one/rate=1000/trackers=1/impl=-2 1 2 redis-µs/set",
		"BenchmarkScale/names=one/rate=1000/trackers=1/impl=x-2 1 two redis-µs/set",
	} {
		if s, err := parseScale(strings.NewReader(in)); err == nil {
			t.Errorf("%q: got %v: want an error", in, s)
		}
	}
}

// The processor time of Redis is divided by the floor's of the same round, and an asterisk marks where Redis was too slow.
func TestScaleTable(t *testing.T) {
	const want = `| Redis's CPU per SET, ÷ that without listeners |  |  |  |  |  |  |
|---|---|---|---|---|---|---|
| **caches of one name, 1,000 SETs a second of its keys; processes** | **1** | **16** | **64** | **256** | **1000** |  |
| broadcast by name | 1.5 |  | 8.0\* |  |  |  |
| **64 processes, one name; SETs a second** | **100** | **1000** | **10000** |  |  |  |
| broadcast by name | 5.0 | 8.0\* |  |  |  |  |
| **heartbeats, one a second: % of a core of Redis; processes, one name** | **1** | **16** | **64** | **256** | **1000** |  |
| broadcast by name |  |  | 1.9 % |  |  |  |
| **64 processes, one name, 1000 SETs a second** | **GET beside, p50** | **p99** | **answer to a SET, p50** | **dropped after it, p50** | **bytes/s a process** | **messages per miss** |
| nobody listens | 50 µs | 100 µs |  |  | 0 |  |
| broadcast by name\* | 600 µs | 2 ms |  | 180 µs | 46k | 128 |
`
	if got := openScale(t).table(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The picture is XML, has the points that aren't 0, and a legend without floors.
func TestScaleSVG(t *testing.T) {
	picture := drawSVG(scaleTitle, openScale(t).charts())
	texts, points := make(map[string]int), 0
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
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
			texts[string(token)]++
		}
	}
	if want := 2 + 4 + 2 + 2; points != want { // two steps: ratios, GETs of both impls, bytes of one, and rates
		t.Errorf("got %d points: want %d", points, want)
	}
	for _, text := range []string{scaleTitle, "broadcast by name, 64: 2 ms", "broadcast by name, 100: 5.0", "nobody listens"} {
		if texts[text] != 1 {
			t.Errorf("%q occurs %d times: want it once", text, texts[text])
		}
	}
	if texts["floor"] > 0 || strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
		t.Error("a floor, or a coordinate that isn't a number")
	}
}
