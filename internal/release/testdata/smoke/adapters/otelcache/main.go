// A user of the adapter for OpenTelemetry: a cache whose loads are spans.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/tiercache/tiercache/adapters/otelcache"
	"github.com/tiercache/tiercache/tiered"
)

func main() {
	if err := users(); err != nil {
		log.Fatal(err)
	}
}

func users() error {
	tel, err := otelcache.New(otelcache.Options{Cache: "users"})
	if err != nil {
		return err
	}
	cache, err := tiered.New(tiered.Options[string]{Name: "users", Trace: tel.Trace()})
	if err != nil {
		return err
	}
	defer cache.Close()
	if err := tel.Observe(cache.Stats); err != nil {
		return err
	}
	name, err := cache.GetOrLoad(context.Background(), "42", func(context.Context, *tiered.Entry[string]) (string, error) {
		return "Ada", nil
	})
	if err != nil || name != "Ada" {
		return fmt.Errorf("got %q, %v", name, err)
	}
	return tel.Close()
}
