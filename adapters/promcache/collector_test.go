package promcache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/internal/cachemetrics"
	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// sample is one value of a metric, and of a histogram the number of values.
type sample struct {
	labels map[string]string
	value  float64
}

// gather returns the samples by the names of their metrics.
func gather(t testing.TB, c prometheus.Collector) map[string][]sample {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // checks what is collected against what is described
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]sample)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := sample{labels: make(map[string]string)}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				s.value = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				s.value = m.GetGauge().GetValue()
			default:
				s.value = float64(m.GetHistogram().GetSampleCount())
			}
			all[f.GetName()] = append(all[f.GetName()], s)
		}
	}
	return all
}

// sum adds up the samples with these labels, given as names and values.
func sum(samples []sample, labels ...string) (total float64) {
next:
	for _, s := range samples {
		for i := 0; i < len(labels); i += 2 {
			if s.labels[labels[i]] != labels[i+1] {
				continue next
			}
		}
		total += s.value
	}
	return total
}

// The metrics are the cache's Stats, and the histograms count what these count.
func TestMetricsAreStats(t *testing.T) {
	s := redistest.Start(t)
	metrics := promcache.New()
	c := newCache(t, metrics, s)
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			_, _ = c.GetOrLoad(t.Context(), fmt.Sprint(i%10), func(context.Context, *tiered.Entry[string]) (string, error) {
				switch i % 5 {
				case 0:
					return "", tiered.ErrNotFound
				case 1:
					return "", errors.New("failure")
				}
				return "value", nil
			})
		})
	}
	calls.Wait()
	for range 3 {
		if _, err := c.GetOrLoad(t.Context(), "2", value("")); err != nil { // a local hit
			t.Fatal(err)
		}
	}
	other := promcache.New()
	if err := newCache(t, other, s).Set(t.Context(), "theirs", "value"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetOrLoad(t.Context(), "theirs", value("")); err != nil { // a hit in Redis
		t.Fatal(err)
	}
	observe.Until(t, "the Redis is healthy", func() bool { return sum(gather(t, metrics)["tiercache_redis_healthy"], "redis", "main") == 1 })
	s.Do("CONFIG", "SET", "maxmemory", "1")
	_ = c.Set(t.Context(), "refused", "v")
	s.Do("CONFIG", "SET", "maxmemory", "0")
	observe.Until(t, "the write was replayed", func() bool { return c.Stats().Replayed > 0 && c.Stats().LoadsRunning == 0 })

	got, stats := gather(t, metrics), c.Stats()
	for _, m := range cachemetrics.Tiers() {
		name := "tiercache_" + m.Name
		if !m.Present {
			name += "_total"
		}
		labels := []string{"cache", "users"}
		if m.Tier != "" {
			labels = append(labels, "tier", m.Tier)
		}
		if v := sum(got[name], labels...); v != float64(m.Value(&stats)) || len(got[name]) == 0 {
			t.Errorf("%s%v is %v, want %d", name, labels, v, m.Value(&stats))
		}
	}
	if stats.Loads == 0 || stats.LocalHits == 0 || stats.LoadErrors == 0 || stats.RedisErrors == 0 {
		t.Errorf("too little happened: %+v", stats)
	}
	redis := got["tiercache_redis_duration_seconds"]
	for what, n := range map[string][2]float64{
		"loads":        {sum(got["tiercache_load_duration_seconds"], "cache", "users"), float64(stats.Loads)},
		"failed loads": {sum(got["tiercache_load_duration_seconds"], "outcome", "error"), float64(stats.LoadErrors)},
		"waits":        {sum(got["tiercache_wait_duration_seconds"], "for", "load"), float64(stats.Collapsed)},
		"failed calls": {sum(redis, "outcome", "error") - sum(redis, "step", "replay", "outcome", "error"), float64(stats.RedisErrors)},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %v, want %v", what, n[0], n[1])
		}
	}
	for _, step := range []string{"get", "lease", "store", "write"} {
		if sum(redis, "step", step) == 0 {
			t.Errorf("there is no step %q in %v", step, redis)
		}
	}
	for _, name := range []string{"tiercache_redis_sent_bytes_total", "tiercache_redis_received_bytes_total"} {
		if sum(got[name]) == 0 {
			t.Errorf("%s is 0", name)
		}
	}
}

// The metrics of an HTTP cache are its Stats, those of its tiers included.
func TestMetricsOfAnHTTPCache(t *testing.T) {
	metrics := promcache.New()
	c, err := httpcache.New(httpcache.Options{Name: "pages"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := metrics.AddHTTP("pages", c.Stats); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		_, _ = io.WriteString(w, "page")
	})))
	t.Cleanup(server.Close)
	request := func(method, validator string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if validator != "" {
			r.Header.Set("If-None-Match", validator)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	for range 3 {
		request(http.MethodGet, "")
	}
	request(http.MethodGet, `"1"`)
	request(http.MethodPost, "")

	got, stats := gather(t, metrics), c.Stats()
	for _, m := range cachemetrics.HTTP() {
		if v := sum(got["tiercache_http_"+m.Name+"_total"], "cache", "pages"); v != float64(m.Value(&stats)) {
			t.Errorf("%s is %v, want %d", m.Name, v, m.Value(&stats))
		}
	}
	if v := sum(got["tiercache_misses_total"], "cache", "pages"); v != float64(stats.Tiers.Misses) || v == 0 {
		t.Errorf("%v misses of the tiers, want %d", v, stats.Tiers.Misses)
	}
	if stats.Hits != 3 || stats.NotModified != 1 || stats.Misses != 1 || stats.Bypassed != 1 || stats.Stored != 1 {
		t.Errorf("not what was expected to happen: %+v", stats)
	}
}

// The names and help texts are as Prometheus wants them, with one cache and with several.
func TestLint(t *testing.T) {
	metrics := promcache.New()
	c := newCache(t, metrics, redistest.Start(t))
	if err := metrics.AddHTTP("pages", func() httpcache.Stats { return httpcache.Stats{} }); err != nil {
		t.Fatal(err)
	}
	if err := metrics.Add("orders", c.Stats); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetOrLoad(t.Context(), "k", value("v")); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registered(t, metrics))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func registered(t testing.TB, c prometheus.Collector) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUnhealthyRedis(t *testing.T) {
	metrics := promcache.New()
	var status error
	if err := metrics.AddRedis("main", func() error { return status }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []float64{1, 0} {
		if got := gather(t, metrics)["tiercache_redis_healthy"]; len(got) != 1 || got[0].value != want {
			t.Errorf("with the status %v: %v", status, got)
		}
		status = errors.New("Redis doesn't answer")
	}
}

// A name is taken once.
func TestNamesAreTaken(t *testing.T) {
	metrics := promcache.New()
	stats, status := func() tiered.Stats { return tiered.Stats{} }, func() error { return nil }
	pages := func() httpcache.Stats { return httpcache.Stats{} }
	if metrics.Add("a", stats) != nil || metrics.Add("b", stats) != nil || metrics.AddHTTP("c", pages) != nil || metrics.AddRedis("a", status) != nil {
		t.Error("an unused name is taken")
	}
	if metrics.Add("a", stats) == nil || metrics.AddHTTP("a", pages) == nil || metrics.Add("c", stats) == nil || metrics.AddRedis("a", status) == nil {
		t.Error("a name was taken twice")
	}
}
