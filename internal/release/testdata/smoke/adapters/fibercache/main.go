// A user of the adapter for Fiber: a cache of an app's responses.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/tiercache/tiercache/adapters/fibercache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func main() {
	if err := responses(); err != nil {
		log.Fatal(err)
	}
}

func responses() error {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		return err
	}
	defer cache.Close()
	calls := 0
	app := fiber.New()
	app.Get("/users/:id", fibercache.New(cache), func(c fiber.Ctx) error {
		calls++
		return c.SendString("Ada")
	})
	for range 2 {
		res, err := app.Test(httptest.NewRequest("GET", "/users/42", nil))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != "Ada" {
			return fmt.Errorf("got %q, %v", body, err)
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
	}
	if calls != 1 {
		return fmt.Errorf("%d calls of the handler, want 1", calls)
	}
	return nil
}
