package httpcache_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/tiered"
)

// A service calls an API, and gets what the API says may be used again from its cache.
func ExampleCache_Transport() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprint(w, "the orders of ", r.Header.Get("Authorization"))
	}))
	defer api.Close()

	cache, err := httpcache.New(httpcache.Options{Private: true})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	client := &http.Client{Transport: cache.Transport(nil), Timeout: 10 * time.Second}

	for _, token := range []string{"alice", "alice", "bob"} { // each has responses of its own
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, api.URL+"/orders", nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		res, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(string(body))
	}
	fmt.Println(cache.Stats().Hits, "hit")
	// Output:
	// the orders of alice
	// the orders of alice
	// the orders of bob
	// 1 hit
}

// The processes of a service share the responses of an API through Redis. While it fails, stale ones are served, for up to an hour.
func ExampleCache_Transport_redis() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer rdb.Close()
	second, err := tiered.NewRedis(rdb, tiered.RedisOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()

	cache, err := httpcache.New(httpcache.Options{
		Name:         "orders-api",
		Redis:        second,
		Private:      true,
		TTL:          10 * time.Second, // of what doesn't say itself how long it is fresh
		StaleIfError: time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	client := &http.Client{Transport: cache.Transport(http.DefaultTransport), Timeout: 10 * time.Second}
	_ = client
}
