// A user of the adapter for Fiber v2: one cached page.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tiercache/tiercache/adapters/fiber2cache"
	"github.com/tiercache/tiercache/adapters/httpcache"
)

func main() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	runs := 0
	app := fiber.New()
	app.Get("/", fiber2cache.New(cache), func(c *fiber.Ctx) error {
		runs++
		return c.SendString(fmt.Sprint("page ", runs))
	})
	for range 2 {
		res, err := app.Test(httptest.NewRequest("GET", "/", nil))
		if err != nil {
			panic(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "page 1" {
			panic(fmt.Sprint(string(body), err))
		}
	}
}
