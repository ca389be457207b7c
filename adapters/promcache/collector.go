package promcache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/internal/cachemetrics"
	"github.com/tiercache/tiercache/tiered"
)

const namespace = "tiercache"

// Collector is a [prometheus.Collector] of any number of caches.
type Collector struct {
	tiers                         group[tiered.Stats]
	http                          group[httpcache.Stats]
	healthy                       *prometheus.Desc
	loadTime, redisTime, waitTime *prometheus.HistogramVec
	sent, received                *prometheus.CounterVec

	mu    sync.RWMutex // guards redis, and the caches of the groups
	redis map[string]func() error
}

// New returns a Collector without caches.
func New() *Collector {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: name, Help: help, Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, labels)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{"cache"})
	}
	return &Collector{
		healthy: prometheus.NewDesc(prometheus.BuildFQName(namespace, "redis", "healthy"),
			"1 while Redis is asked, all invalidations arrive, and no command was refused lately, else 0.", []string{"redis"}, nil),
		loadTime:  histogram("load_duration_seconds", "Duration of calls of the loader.", "cache", "outcome"),
		redisTime: histogram("redis_duration_seconds", "Duration of calls of Redis.", "cache", "step", "outcome"),
		waitTime:  histogram("wait_duration_seconds", "How long callers and loads waited for the load of another.", "cache", "for", "outcome"),
		sent:      counter("redis_sent_bytes_total", "Bytes of keys and values sent to Redis."),
		received:  counter("redis_received_bytes_total", "Bytes of values read from Redis."),
		tiers:     newGroup("", cachemetrics.Tiers()),
		http:      newGroup("http", cachemetrics.HTTP()),
		redis:     make(map[string]func() error),
	}
}

// Add adds the counters of a cache, whose Stats method it gets. It returns an error if there is a cache of that name.
func (c *Collector) Add(cache string, stats func() tiered.Stats) error {
	return add(c, c.tiers.caches, "cache", cache, stats)
}

// AddHTTP adds the counters of an HTTP cache, whose Stats method it gets, and those of its tiers. It returns an error if there is a
// cache of that name.
func (c *Collector) AddHTTP(cache string, stats func() httpcache.Stats) error {
	if err := c.Add(cache, func() tiered.Stats { return stats().Tiers }); err != nil {
		return err
	}
	return add(c, c.http.caches, "cache", cache, stats)
}

// AddRedis adds the health of a Redis, whose Status method it gets. It returns an error if there is a Redis of that name.
func (c *Collector) AddRedis(name string, status func() error) error {
	return add(c, c.redis, "Redis", name, status)
}

func add[F any](c *Collector, to map[string]F, kind, name string, f F) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := to[name]; taken {
		return fmt.Errorf("promcache: there is a %s %q already: want another name", kind, name)
	}
	to[name] = f
	return nil
}

// Trace returns the functions for Options.Trace of the cache of that name, which record durations and sizes.
func (c *Collector) Trace(cache string) *tiered.Trace {
	sent, received := c.sent.WithLabelValues(cache), c.received.WithLabelValues(cache)
	return &tiered.Trace{
		LoadDone: func(_ context.Context, _ []string, took time.Duration, err error) {
			c.loadTime.WithLabelValues(cache, outcome(err)).Observe(took.Seconds())
		},
		RedisDone: func(_ context.Context, r tiered.RedisInfo) {
			c.redisTime.WithLabelValues(cache, r.Step, outcome(r.Err)).Observe(r.Took.Seconds())
			sent.Add(float64(r.Sent))
			received.Add(float64(r.Received))
		},
		WaitDone: func(_ context.Context, w tiered.WaitInfo) {
			of := "load"
			if w.Process {
				of = "process"
			}
			c.waitTime.WithLabelValues(cache, of, outcome(w.Err)).Observe(w.Took.Seconds())
		},
	}
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	c.tiers.describe(to)
	c.http.describe(to)
	to <- c.healthy
	for _, v := range c.traced() {
		v.Describe(to)
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	c.tiers.collect(to)
	c.http.collect(to)
	for name, status := range c.redis {
		healthy := 0.0
		if status() == nil {
			healthy = 1
		}
		to <- prometheus.MustNewConstMetric(c.healthy, prometheus.GaugeValue, healthy, name)
	}
	for _, v := range c.traced() {
		v.Collect(to)
	}
}

// traced returns the metrics that the Trace records.
func (c *Collector) traced() []prometheus.Collector {
	return []prometheus.Collector{c.loadTime, c.redisTime, c.waitTime, c.sent, c.received}
}
