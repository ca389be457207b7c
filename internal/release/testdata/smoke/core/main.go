// A user of the core: a cache in the process's memory, and a cache of responses.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

func main() {
	if err := values(); err != nil {
		log.Fatal(err)
	}
	if err := responses(); err != nil {
		log.Fatal(err)
	}
}

func values() error {
	cache, err := tiered.New(tiered.Options[string]{Name: "users", Codec: codec.Zstd(codec.Msgpack, 1024)})
	if err != nil {
		return err
	}
	defer cache.Close()
	loads := 0
	for range 2 {
		value, err := cache.GetOrLoad(context.Background(), keys.Join("user", "42"), func(context.Context, *tiered.Entry[string]) (string, error) {
			loads++
			return "Ada", nil
		})
		if err != nil || value != "Ada" {
			return fmt.Errorf("got %q, %v", value, err)
		}
	}
	if loads != 1 {
		return fmt.Errorf("%d loads, want 1", loads)
	}
	return nil
}

func responses() error {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		return err
	}
	defer cache.Close()
	calls := 0
	handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		fmt.Fprint(w, "Ada")
	}))
	for range 2 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/users/42", nil))
		if body, err := io.ReadAll(w.Result().Body); err != nil || string(body) != "Ada" {
			return fmt.Errorf("got %q, %v", body, err)
		}
	}
	if calls != 1 {
		return fmt.Errorf("%d calls of the handler, want 1", calls)
	}
	return nil
}
