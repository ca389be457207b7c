package fibercache_test

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

func Example() {
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	app := fiber.New()
	app.Get("/users", fibercache.New(cache), func(c fiber.Ctx) error {
		fmt.Println("(the handler runs)")
		return c.SendString("alice, bob")
	})

	for range 3 {
		res, err := app.Test(httptest.NewRequest("GET", "/users", nil))
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(res.Status, string(body))
	}
	// Output:
	// (the handler runs)
	// 200 OK alice, bob
	// 200 OK alice, bob
	// 200 OK alice, bob
}
