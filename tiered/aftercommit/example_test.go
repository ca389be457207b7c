package aftercommit_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// A database without an adapter: anything that commits at one instant.
func ExampleChanges() {
	ctx := context.Background()
	users, err := tiered.New(tiered.Options[string]{Name: "users"})
	if err != nil {
		log.Fatal(err)
	}
	defer users.Close()
	if err := users.Set(ctx, "7", "Ada"); err != nil {
		log.Fatal(err)
	}

	var changes aftercommit.Changes
	changes.Delete(users, "7")
	err = changes.Commit(ctx, func() error { return nil }) // the commit of the database
	_, gone := users.Get(ctx, "7")
	fmt.Println(err, errors.Is(gone, tiered.ErrNotFound))
	// Output: <nil> true
}
