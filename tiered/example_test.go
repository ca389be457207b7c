package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

type User struct {
	ID   int
	Name string
}

// A cache in this process alone.
func Example() {
	users, err := tiered.New(tiered.Options[User]{Name: "users"})
	if err != nil {
		panic(err)
	}
	defer users.Close()

	load := func(ctx context.Context, e *tiered.Entry[User]) (User, error) {
		fmt.Println("loading", e.Key)
		return User{ID: 42, Name: "Ada"}, nil
	}
	for range 2 {
		user, err := users.GetOrLoad(context.Background(), "42", load)
		fmt.Println(user.Name, err)
	}
	// Output:
	// loading 42
	// Ada <nil>
	// Ada <nil>
}

// Two tiers: what one process loads, the others find in Redis.
func ExampleNewRedis() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()

	second, err := tiered.NewRedis(client, tiered.RedisOptions{})
	if err != nil {
		panic(err)
	}
	defer second.Close()

	users, err := tiered.New(tiered.Options[User]{
		Name:  "users",
		Redis: second,
		Policy: tiered.Policy{
			TTL:         10 * time.Minute,
			NotFoundTTL: 30 * time.Second,
		},
	})
	if err != nil {
		panic(err)
	}
	defer users.Close()
}

// A service binds its loader once, so that a hit allocates nothing.
func ExampleCache_GetOrLoad() {
	s := &userService{rows: map[string]User{"42": {42, "Ada"}}}
	s.load = s.loadUser
	s.users, _ = tiered.New(tiered.Options[User]{Name: "users"})
	defer s.users.Close()

	fmt.Println(s.User(context.Background(), 42))
	fmt.Println(s.User(context.Background(), 43))
	// Output:
	// {42 Ada} <nil>
	// {0 } tiered: not found
}

type userService struct {
	users *tiered.Cache[User]
	load  tiered.Loader[User]
	rows  map[string]User
}

func (s *userService) User(ctx context.Context, id int) (User, error) {
	return s.users.GetOrLoad(ctx, fmt.Sprint(id), s.load)
}

func (s *userService) loadUser(_ context.Context, e *tiered.Entry[User]) (User, error) {
	user, ok := s.rows[e.Key]
	if !ok {
		return User{}, tiered.ErrNotFound
	}
	return user, nil
}

// A loader may decide how long its value is kept.
func ExampleLoader() {
	tokens, _ := tiered.New(tiered.Options[string]{Name: "tokens"})
	defer tokens.Close()

	token, err := tokens.GetOrLoad(context.Background(), "billing", func(_ context.Context, e *tiered.Entry[string]) (string, error) {
		token, expiresIn := "s3cret", 55*time.Minute // from an identity provider
		e.Policy.TTL = expiresIn - time.Minute
		return token, nil
	})
	fmt.Println(token, err)
	// Output: s3cret <nil>
}

// The second batch asks its loader only for what isn't cached.
func ExampleGetOrLoadMany() {
	users, _ := tiered.New(tiered.Options[User]{Name: "users"})
	defer users.Close()

	key := func(id int) string { return keys.Join("user", fmt.Sprint(id)) }
	load := func(_ context.Context, ids []int) (map[int]User, error) {
		fmt.Println("loading", ids)
		found := make(map[int]User)
		for _, id := range ids {
			found[id] = User{ID: id, Name: fmt.Sprint("user ", id)}
		}
		return found, nil
	}
	for _, ids := range [][]int{{1, 2}, {2, 3}} {
		found, err := tiered.GetOrLoadMany(context.Background(), users, ids, key, load)
		fmt.Println(len(found), err)
	}
	// Output:
	// loading [1 2]
	// 2 <nil>
	// loading [3]
	// 2 <nil>
}

// A process loads the keys that are read often before it reports that it is ready. Values that Redis has aren't loaded. Each chunk is one
// load of Options.MaxLoads, and has LoadTimeout for itself.
func ExampleGetOrLoadMany_warm() {
	ctx := context.Background()
	users, _ := tiered.New(tiered.Options[User]{Name: "users"})
	defer users.Close()

	key := func(id int) string { return keys.Join("user", fmt.Sprint(id)) }
	load := func(_ context.Context, ids []int) (map[int]User, error) {
		fmt.Println("loading", len(ids))
		found := make(map[int]User)
		for _, id := range ids {
			found[id] = User{ID: id, Name: fmt.Sprint("user ", id)}
		}
		return found, nil
	}
	hot := make([]int, 250) // such as the ids that were read most often yesterday
	for i := range hot {
		hot[i] = i
	}
	for chunk := range slices.Chunk(hot, 100) {
		if _, err := tiered.GetOrLoadMany(ctx, users, chunk, key, load); err != nil {
			fmt.Println(err) // its values are loaded when they are read
		}
	}
	fmt.Println("ready")
	user, err := users.Get(ctx, key(42))
	fmt.Println(user.Name, err)
	// Output:
	// loading 100
	// loading 100
	// loading 50
	// ready
	// user 42 <nil>
}

// A batch whose loader gives each value tags and a TTL of its own, and returns what has not changed in the source.
func ExampleGetOrLoadEntries() {
	type Price struct {
		Cents   int
		Version int
	}
	type row struct {
		Price
		shop     string
		validFor time.Duration
	}
	source := map[int]row{1: {Price{100, 1}, "north", time.Hour}, 2: {Price{250, 1}, "south", time.Minute}}

	prices, _ := tiered.New(tiered.Options[Price]{Name: "prices", Policy: tiered.Policy{StaleIfError: time.Hour}})
	defer prices.Close()

	load := func(_ context.Context, ids []int, entries []*tiered.Entry[Price]) (map[int]Price, error) {
		found := make(map[int]Price)
		for i, id := range ids {
			row, ok := source[id]
			if !ok {
				continue // there is no such price
			}
			e := entries[i]
			e.Tags = []string{"shop:" + row.shop}
			e.Policy.TTL = row.validFor
			if e.Found && e.Value.Version == row.Version {
				fmt.Println(id, "is not modified")
				found[id] = e.Value
				continue
			}
			fmt.Println(id, "is loaded")
			found[id] = row.Price
		}
		return found, nil
	}
	ctx := context.Background()
	get := func() {
		found, err := tiered.GetOrLoadEntries(ctx, prices, []int{1, 2, 3}, strconv.Itoa, load)
		fmt.Println(found, err)
	}
	get()
	_ = prices.InvalidateTags(ctx, "shop:south")
	_ = prices.Expire(ctx, "1")
	get()
	// Output:
	// 1 is loaded
	// 2 is loaded
	// map[1:{100 1} 2:{250 1}] <nil>
	// 1 is not modified
	// 2 is loaded
	// map[1:{100 1} 2:{250 1}] <nil>
}

// A refresh replaces a value that is still fresh; its loader sees the old one.
func ExampleCache_Refresh() {
	rates, _ := tiered.New(tiered.Options[float64]{Name: "rates"})
	defer rates.Close()

	ctx := context.Background()
	_ = rates.Set(ctx, "EUR", 1.07)
	rate, err := rates.Refresh(ctx, "EUR", func(_ context.Context, e *tiered.Entry[float64]) (float64, error) {
		return e.Value + 0.01, nil
	})
	fmt.Println(rate, err)
	// Output: 1.08 <nil>
}

func ExampleCache_Lookup() {
	users, _ := tiered.New(tiered.Options[User]{Name: "users"})
	defer users.Close()

	ctx := context.Background()
	_ = users.Set(ctx, "42", User{42, "Ada"}, "team:7")
	e, err := users.Lookup(ctx, "42")
	fmt.Println(e.Value.Name, e.Tier, e.State, e.Tags, err)
	_, err = users.Lookup(ctx, "43")
	fmt.Println(errors.Is(err, tiered.ErrNotFound))
	// Output:
	// Ada local fresh [team:7] <nil>
	// true
}

// Views share their entries: how long a value is fresh says the policy of the view that stored it, or its loader.
func ExampleCache_With() {
	users, _ := tiered.New(tiered.Options[User]{Name: "users", Policy: tiered.Policy{TTL: time.Hour, Jitter: -1}})
	defer users.Close()
	briefly := users.With(func(p *tiered.Policy) { p.TTL = time.Millisecond })

	ctx := context.Background()
	_ = users.Set(ctx, "42", User{42, "Ada"})
	_ = briefly.Set(ctx, "43", User{43, "Grace"})
	time.Sleep(2 * time.Millisecond)
	user, err := briefly.Get(ctx, "42")
	fmt.Println(user.Name, err)
	_, err = users.Get(ctx, "43")
	fmt.Println(err)
	// Output:
	// Ada <nil>
	// tiered: not found
}
