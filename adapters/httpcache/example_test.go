package httpcache_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

func Example() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	users := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("(the handler runs)")
		fmt.Fprint(w, "alice, bob")
	})
	server := httptest.NewServer(cache.Handler(users))
	defer server.Close()

	for range 3 {
		res, err := http.Get(server.URL + "/users")
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(res.Status, string(body))
	}
	fmt.Println(cache.Stats().Hits, "hits")
	// Output:
	// (the handler runs)
	// 200 OK alice, bob
	// 200 OK alice, bob
	// 200 OK alice, bob
	// 2 hits
}

func ExampleCache_Purge() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	name := "alice"
	mux := http.NewServeMux()
	mux.Handle("GET /user", cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, name)
	})))
	mux.HandleFunc("PUT /user", func(w http.ResponseWriter, r *http.Request) {
		name = "bob"
		if err := cache.Purge(r.Context(), r); err != nil {
			log.Print(err)
		}
		fmt.Fprint(w, "updated")
	})
	send := func(method, target string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), method, target, nil))
		fmt.Println(method, target, w.Body)
	}
	send("GET", "/user")
	name = "carol" // without telling the cache
	send("GET", "/user")
	send("PUT", "/user")
	send("GET", "/user")
	// Output:
	// GET /user alice
	// GET /user alice
	// PUT /user updated
	// GET /user bob
}
