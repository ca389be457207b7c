package main

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/tiered"
)

// newMetrics makes the handler that Prometheus asks for the metrics of both caches and of Redis.
func newMetrics(metrics *promcache.Collector, a *api, redis *tiered.Redis) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	err := errors.Join(
		metrics.Add(userCache, a.service.Stats),
		metrics.AddHTTP(a.pages.Name(), a.pages.Stats),
		metrics.AddRedis("redis", redis.Status),
		registry.Register(metrics),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), err
}
