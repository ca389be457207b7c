package codec_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/codec"
)

type city struct {
	Name   string `json:"name" msgpack:"name"`
	People int    `json:"people" msgpack:"people"`
}

func Example_json() {
	data, err := codec.JSON.Marshal(city{"Hanoi", 8_000_000})
	fmt.Println(string(data), err)

	var c city
	err = codec.JSON.Unmarshal(data, &c)
	fmt.Println(c.Name, c.People, err)
	// Output:
	// {"name":"Hanoi","people":8000000} <nil>
	// Hanoi 8000000 <nil>
}

func Example_msgpack() {
	data, err := codec.Msgpack.Marshal(city{"Hanoi", 8_000_000})
	fmt.Println(len(data), err)

	var c city
	err = codec.Msgpack.Unmarshal(data, &c)
	fmt.Println(c.Name, c.People, err)

	// Lengths are checked against the input before anything is allocated.
	fmt.Println(codec.Msgpack.Unmarshal([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, &c))
	// Output:
	// 24 <nil>
	// Hanoi 8000000 <nil>
	// codec: decode msgpack: unexpected EOF
}

func Example_raw() {
	type HTML string
	data, err := codec.Raw.Marshal(HTML("<h1>Hi</h1>"))
	fmt.Println(string(data), err)

	var page HTML
	err = codec.Raw.Unmarshal(data, &page)
	fmt.Println(page, err)

	_, err = codec.Raw.Marshal(42)
	var typeErr *codec.TypeError
	fmt.Println(errors.As(err, &typeErr), typeErr.Type)
	// Output:
	// <h1>Hi</h1> <nil>
	// <h1>Hi</h1> <nil>
	// true int
}

// quoted is JSON between quotes of its own: any type with three methods is a codec.
type quoted struct{}

func (quoted) Name() string { return "quoted" }

func (quoted) Marshal(v any) ([]byte, error) {
	data, err := codec.JSON.Marshal(v)
	return append(append([]byte("<<"), data...), ">>"...), err
}

func (quoted) Unmarshal(data []byte, v any) error {
	if len(data) < 4 {
		return errors.New("quoted: too short")
	}
	return codec.JSON.Unmarshal(data[2:len(data)-2], v)
}

func ExampleCodec() {
	var c codec.Codec = quoted{}
	data, err := c.Marshal([]int{1, 2})
	fmt.Println(string(data), err)
	// Output: <<[1,2]>> <nil>
}

func ExampleZstd() {
	c := codec.Zstd(codec.JSON, 0) // values of 1 KiB and more
	cities := slices.Repeat([]city{{"Hanoi", 8_000_000}}, 1000)
	plain, err := codec.JSON.Marshal(cities)
	fmt.Println(len(plain), err)
	small, err := c.Marshal(cities)
	fmt.Println(c.Name(), len(small) < len(plain)/100, err)

	var back []city
	fmt.Println(c.Unmarshal(small, &back), len(back), back[999].Name)
	// Output:
	// 34001 <nil>
	// zstd(json) true <nil>
	// <nil> 1000 Hanoi
}

func ExampleS2() {
	c := codec.S2(codec.Raw, 100)
	short, err := c.Marshal("Hanoi")
	fmt.Printf("%q %v\n", short, err) // too short to gain anything: as it is, behind a byte that says so

	long, err := c.Marshal(strings.Repeat("Hanoi", 1000))
	fmt.Println(c.Name(), len(long) < 100, err)

	var page string
	fmt.Println(c.Unmarshal(long, &page), len(page))
	// Output:
	// "\x00Hanoi" <nil>
	// s2(raw) true <nil>
	// <nil> 5000
}
