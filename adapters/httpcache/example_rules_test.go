package httpcache_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// show prints a GET's answer, and how the cache came by it.
func show(h http.Handler, target string, fields ...string) {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body, "|", w.Header().Get("Cache-Status"))
}

// Pages that show users have a tag, and are removed when a user changes.
func ExampleCache_PurgeTags() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Tag", "users, pages")
		fmt.Fprint(w, "a page")
	}))
	show(h, "/users?page=1")
	show(h, "/users?page=2")
	if err := cache.PurgeTags(context.Background(), "users"); err != nil {
		log.Fatal(err)
	}
	show(h, "/users?page=1")
	// Output:
	// 200 a page | http; fwd=uri-miss; stored
	// 200 a page | http; fwd=uri-miss; stored
	// 200 a page | http; fwd=uri-miss; stored
}

// A handler that knows its ETag doesn't have to make again what is stored.
func Example_validation() {
	cache, err := httpcache.New(httpcache.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", "no-cache") // to be asked for each time
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "made with great effort")
	}))
	show(h, "/report")
	show(h, "/report")
	show(h, "/report", "If-None-Match", `"v1"`) // the client has it, too
	// Output:
	// 200 made with great effort | http; fwd=uri-miss; stored
	// 200 made with great effort | http; fwd=stale; fwd-status=304; stored
	// 304  | http; fwd=stale; fwd-status=304; stored
}

// What a response varies by, it says.
func Example_vary() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		if r.Header.Get("Accept-Language") == "de" {
			fmt.Fprint(w, "Guten Tag")
			return
		}
		fmt.Fprint(w, "Good day")
	}))
	show(h, "/", "Accept-Language", "de")
	show(h, "/", "Accept-Language", "en")
	// Output:
	// 200 Guten Tag | http; fwd=uri-miss; stored
	// 200 Good day | http; fwd=vary-miss; stored
}

// The handler fails, and nobody sees it.
func Example_staleIfError() {
	cache, err := httpcache.New(httpcache.Options{StaleIfError: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	broken := false
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			http.Error(w, "no database", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "max-age=0")
		fmt.Fprint(w, "alice, bob")
	}))
	show(h, "/users")
	broken = true
	show(h, "/users")
	// Output:
	// 200 alice, bob | http; fwd=uri-miss; stored
	// 200 alice, bob | http; fwd=stale; fwd-status=500; detail=stale-if-error
}

// What is a user's own is kept for that user alone.
func ExampleOptions_user() {
	cache, err := httpcache.New(httpcache.Options{
		TTL:  time.Minute,
		User: func(r *http.Request) string { return r.Header.Get("X-User") }, // that a handler around the cache made sure of
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprint(w, "the cart of "+r.Header.Get("X-User"))
	}))
	show(h, "/cart", "X-User", "alice")
	show(h, "/cart", "X-User", "bob")
	// Output:
	// 200 the cart of alice | http; fwd=uri-miss; stored
	// 200 the cart of bob | http; fwd=uri-miss; stored
}
