package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// After a write to the source the cached value is deleted; the next read loads the new one.
func ExampleCache_Delete() {
	ctx := context.Background()
	users, _ := tiered.New(tiered.Options[User]{Name: "users"})
	defer users.Close()

	rows := map[string]User{"42": {42, "Ada"}}
	load := func(_ context.Context, e *tiered.Entry[User]) (User, error) { return rows[e.Key], nil }
	user, err := users.GetOrLoad(ctx, "42", load)
	fmt.Println(user.Name, err)

	rows["42"] = User{42, "Augusta Ada"}
	if err := users.Delete(ctx, "42"); err != nil {
		fmt.Println("others may still see the old value:", err)
	}
	user, err = users.GetOrLoad(ctx, "42", load)
	fmt.Println(user.Name, err)
	// Output:
	// Ada <nil>
	// Augusta Ada <nil>
}

// Values that have something in common are invalidated together, whatever their keys.
func ExampleCache_InvalidateTags() {
	ctx := context.Background()
	users, _ := tiered.New(tiered.Options[User]{Name: "users"})
	defer users.Close()

	load := func(_ context.Context, e *tiered.Entry[User]) (User, error) {
		fmt.Println("loading", e.Key)
		e.Tags = []string{"team:7"}
		return User{ID: 42, Name: "Ada"}, nil
	}
	_, _ = users.GetOrLoad(ctx, "42", load)
	_ = users.Set(ctx, "43", User{43, "Grace"}, "team:7", "admins")
	_ = users.Set(ctx, "44", User{44, "Edsger"}, "team:8")

	_ = users.InvalidateTags(ctx, "team:7")
	left, _ := users.GetMany(ctx, "42", "43", "44")
	fmt.Println(left)
	_, _ = users.GetOrLoad(ctx, "42", load)
	// Output:
	// loading 42
	// map[44:{44 Edsger}]
	// loading 42
}

// Clear costs the same however many values there are. Other caches on the same Redis keep theirs.
func ExampleCache_Clear() {
	ctx := context.Background()
	users, _ := tiered.New(tiered.Options[User]{Name: "users"})
	defer users.Close()

	_ = users.SetMany(ctx, map[string]User{"42": {42, "Ada"}, "43": {43, "Grace"}})
	_ = users.Clear(ctx)
	_, err := users.Get(ctx, "42")
	fmt.Println(err)
	// Output: tiered: not found
}

// A loader that can ask whether the source has anything newer: with Redis it is handed the expired value.
func ExampleCache_Expire() {
	ctx := context.Background()
	pages, _ := tiered.New(tiered.Options[string]{Name: "pages"})
	defer pages.Close()

	load := func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		modified := true // what the source says of a request with If-Modified-Since
		if e.Found && !modified {
			return e.Value, nil
		}
		return "page 2", nil
	}
	_ = pages.Set(ctx, "/", "page 1")
	_ = pages.Expire(ctx, "/")
	_, err := pages.Get(ctx, "/")
	fmt.Println(err)
	page, err := pages.GetOrLoad(ctx, "/", load)
	fmt.Println(page, err)
	// Output:
	// tiered: not found
	// page 2 <nil>
}

// What changed in the source is loaded anew, however many values have the tag, and serves on while the source is down.
func ExampleCache_ExpireTags() {
	ctx := context.Background()
	teams, err := tiered.New(tiered.Options[string]{Name: "teams", Policy: tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}})
	if err != nil {
		panic(err)
	}
	defer teams.Close()
	_ = teams.Set(ctx, "7", "Ada, Grace", "people")

	_ = teams.ExpireTags(ctx, "people")
	_, err = teams.Get(ctx, "7")
	fmt.Println("fresh:", err)

	members, err := teams.GetOrLoad(ctx, "7", func(context.Context, *tiered.Entry[string]) (string, error) {
		return "", errors.New("the database is down")
	})
	fmt.Println("meanwhile:", members, err)
	// Output:
	// fresh: tiered: not found
	// meanwhile: Ada, Grace <nil>
}
