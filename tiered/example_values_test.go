package tiered_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// The local tier holds the values themselves, and Redis what the codec makes of them. With Cache[any] a value changes its type
// on the way: JSON knows no int. A T that says what the values are is decoded to the same.
func ExampleOptions_codec() {
	stored, err := codec.JSON.Marshal(map[string]any{"visits": 7})
	if err != nil {
		panic(err)
	}
	var loose any
	err = codec.JSON.Unmarshal(stored, &loose)
	fmt.Printf("%T %v\n", loose.(map[string]any)["visits"], err)

	type Page struct {
		Visits int `json:"visits"`
	}
	var page Page
	err = codec.JSON.Unmarshal(stored, &page)
	fmt.Printf("%T %v\n", page.Visits, err)

	pages, err := tiered.New(tiered.Options[Page]{Name: "pages"}) // not Options[any]
	if err != nil {
		panic(err)
	}
	defer pages.Close()
	page, err = pages.GetOrLoad(context.Background(), "/", func(context.Context, *tiered.Entry[Page]) (Page, error) {
		return Page{Visits: 7}, nil
	})
	fmt.Println(page.Visits, err)
	// Output:
	// float64 <nil>
	// int <nil>
	// 7 <nil>
}

// A release that adds a field to a struct loads its values anew: the new field would be zero in the values that the release before
// has stored. If that is right for the field, a Version keeps the values; it is changed when they can't be used any more.
func ExampleOptions_version() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	second, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		panic(err)
	}
	defer second.Close()

	type Page struct {
		Visits int    `json:"visits"`
		Note   string `json:"note"` // new; a page without one has ""
	}
	pages, err := tiered.New(tiered.Options[Page]{
		Name:    "pages",
		Redis:   second,
		Version: "1",
	})
	if err != nil {
		panic(err)
	}
	defer pages.Close()
}
