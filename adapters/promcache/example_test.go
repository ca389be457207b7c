package promcache_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/tiered"
)

func Example() {
	metrics := promcache.New()
	registry := prometheus.NewRegistry() // or prometheus.MustRegister, for the default registry
	registry.MustRegister(metrics)

	users, err := tiered.New(tiered.Options[string]{Name: "users", Trace: metrics.Trace("users")})
	if err != nil {
		panic(err)
	}
	defer users.Close()
	if err := metrics.Add("users", users.Stats); err != nil {
		panic(err)
	}

	for range 3 {
		_, _ = users.GetOrLoad(context.Background(), "7", func(context.Context, *tiered.Entry[string]) (string, error) {
			return "Ada", nil
		})
	}

	fmt.Println(testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP tiercache_hits_total Reads of a key that a tier answered.
# TYPE tiercache_hits_total counter
tiercache_hits_total{cache="users",tier="local"} 2
tiercache_hits_total{cache="users",tier="remote"} 0
`), "tiercache_hits_total"))
	// Output: <nil>
}
