// Package promcache reports caches of package tiered to Prometheus.
//
// One [Collector] is registered for all caches of a program. Each cache gets a Trace of it, and gives it its Stats:
//
//	metrics := promcache.New()
//	prometheus.MustRegister(metrics)
//
//	users, err := tiered.New(tiered.Options[User]{Name: "users", Redis: r, Trace: metrics.Trace("users")})
//	err = metrics.Add("users", users.Stats)
//	err = metrics.AddHTTP("pages", pages.Stats) // of an httpcache.Cache
//	err = metrics.AddRedis("main", r.Status)
//
// A trace of one's own goes beside it: metrics.Trace("users").Join(mine).
//
// Each field of [tiered.Stats] is a counter, such as tiercache_hits_total, or a gauge, such as tiercache_loads_waiting, with the label
// cache, and tier where there are two. AddHTTP adds the fields of [httpcache.Stats], such as tiercache_http_hits_total. They count
// requests; a request that misses is more than one miss of the tiers. tiercache_redis_healthy is 1 while [tiered.Redis.Status] returns nil, else 0, with the label
// redis. The Trace adds these:
//
//	tiercache_load_duration_seconds     histogram by cache and outcome: ok or error
//	tiercache_redis_duration_seconds    histogram by cache, step (see tiered.RedisInfo) and outcome
//	tiercache_wait_duration_seconds     histogram by cache, for (load or process) and outcome
//	tiercache_redis_sent_bytes_total, tiercache_redis_received_bytes_total
//
// dashboard.json is a dashboard of these for Grafana; alerts.yml has seven alerts, with their tests in alerts_test.yml.
package promcache
