// A user of the adapter for Prometheus: a cache whose loads are counted.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/tiered"
)

func main() {
	if err := users(); err != nil {
		log.Fatal(err)
	}
}

func users() error {
	metrics := promcache.New()
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics); err != nil {
		return err
	}
	cache, err := tiered.New(tiered.Options[string]{Name: "users", Trace: metrics.Trace("users")})
	if err != nil {
		return err
	}
	defer cache.Close()
	if err := metrics.Add("users", cache.Stats); err != nil {
		return err
	}
	if _, err := cache.GetOrLoad(context.Background(), "42", func(context.Context, *tiered.Entry[string]) (string, error) {
		return "Ada", nil
	}); err != nil {
		return err
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if f.GetName() == "tiercache_loads_total" && f.GetMetric()[0].GetCounter().GetValue() == 1 {
			return nil
		}
	}
	return fmt.Errorf("no load in %d metrics", len(families))
}
