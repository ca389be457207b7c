package benchmarks_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	experiment "github.com/go-json-experiment/json/v1"
	goccy "github.com/goccy/go-json"

	"github.com/tiercache/tiercache/codec"
)

// order is a value of several levels.
type order struct {
	ID     string             `json:"id"`
	Buyer  user               `json:"buyer"`
	Ship   *place             `json:"ship"`
	Bill   place              `json:"bill"`
	Items  []item             `json:"items"`
	Totals map[string]float64 `json:"totals"`
	Notes  []byte             `json:"notes,omitempty"`
	Placed time.Time          `json:"placed"`
}

type place struct {
	Street string `json:"street"`
	City   string `json:"city"`
	Zip    *int   `json:"zip,omitempty"`
}

type item struct {
	SKU   string            `json:"sku"`
	Count int               `json:"count"`
	Price float64           `json:"price"`
	Attrs map[string]string `json:"attrs,omitempty"`
}

func newOrder(buyer user) order {
	zip := 12345
	o := order{
		ID: "ord-8841", Buyer: buyer, Ship: &place{"12 Main Street", "Hanoi", &zip}, Bill: place{"1 Side <Road>", "Huế", nil},
		Totals: map[string]float64{"net": 100.25, "tax": 19.75, "gross": 120}, Notes: []byte("leave it at the door, please"),
		Placed: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC),
	}
	for i := range 5 {
		o.Items = append(o.Items, item{fmt.Sprint("sku-", i), i + 1, 9.99 * float64(i+1), map[string]string{"color": "red", "size": "XL"}})
	}
	return o
}

// BenchmarkJSON compares libraries that are meant to replace encoding/json with it and with codec.JSON. Each gets some value
// wrong (codec/json.go), so that none of them is used.
func BenchmarkJSON(b *testing.B) {
	users := make([]user, 20)
	for i := range users {
		u, err := new(source).load(b.Context(), userKey(i))
		if err != nil {
			b.Fatal(err)
		}
		users[i] = *u
	}
	data, err := json.Marshal(newOrder(users[0]))
	if err != nil {
		b.Fatal(err)
	}
	var loose map[string]any
	if err := json.Unmarshal(data, &loose); err != nil {
		b.Fatal(err)
	}
	benchmarkJSON(b, "1user", users[0])
	benchmarkJSON(b, "20users", users)
	benchmarkJSON(b, "order", newOrder(users[0]))
	benchmarkJSON(b, "map", loose)
}

func benchmarkJSON[T any](b *testing.B, name string, v T) {
	impls := []struct {
		name      string
		marshal   func(v any) ([]byte, error)
		unmarshal func(data []byte, v any) error
	}{
		{"encoding-json", json.Marshal, json.Unmarshal},
		{"tiercache", codec.JSON.Marshal, codec.JSON.Unmarshal},
		{"experiment", experiment.Marshal, experiment.Unmarshal},
		{"goccy", func(v any) ([]byte, error) { return goccy.Marshal(v) }, func(data []byte, v any) error { return goccy.Unmarshal(data, v) }},
	}
	boxed := any(v)
	data, err := json.Marshal(boxed)
	if err != nil {
		b.Fatal(err)
	}
	for _, impl := range impls {
		b.Run(fmt.Sprintf("op=encode/value=%s/impl=%s", name, impl.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := impl.marshal(boxed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, impl := range impls {
		b.Run(fmt.Sprintf("op=decode/value=%s/impl=%s", name, impl.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var decoded T
				if err := impl.unmarshal(data, &decoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
