package otelcache_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/internal/cachemetrics"
	"github.com/tiercache/tiercache/adapters/otelcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// The metrics are the cache's Stats, and the histograms count what these count.
func TestMetricsAreStats(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := newBackend(t, otelcache.Options{Cache: "users"})
	c := b.newCache(t, s, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Hour, NotFoundTTL: time.Hour}})
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			_, _ = c.GetOrLoad(t.Context(), fmt.Sprint(i%10), func(context.Context, *tiered.Entry[string]) (string, error) {
				switch i % 5 {
				case 0:
					return "", tiered.ErrNotFound
				case 1:
					return "", context.DeadlineExceeded
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
	other := newBackend(t, otelcache.Options{}).newCache(t, s, tiered.Options[string]{})
	if err := other.Set(t.Context(), "theirs", "value"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetOrLoad(t.Context(), "theirs", value("")); err != nil { // a hit in Redis
		t.Fatal(err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "1")
	_ = c.Set(t.Context(), "refused", "v")
	s.Do("CONFIG", "SET", "maxmemory", "0")
	observe.Until(t, "the write was replayed", func() bool { return c.Stats().Replayed > 0 && c.Stats().LoadsRunning == 0 })

	got, stats := b.metrics(t), c.Stats()
	for _, m := range cachemetrics.Tiers() {
		points := got["tiercache."+m.Name].Data.(metricdata.Sum[int64])
		if points.IsMonotonic == m.Present {
			t.Errorf("%s is monotonic: %v", m.Name, points.IsMonotonic)
		}
		found := 0
		for _, p := range points.DataPoints {
			tier, _ := p.Attributes.Value("tiercache.tier")
			name, _ := p.Attributes.Value("tiercache.cache")
			if tier.AsString() != m.Tier || name.AsString() != "users" {
				continue
			}
			if found++; p.Value != m.Value(&stats) {
				t.Errorf("%s%s is %d, want %d", m.Name, m.Tier, p.Value, m.Value(&stats))
			}
		}
		if found != 1 {
			t.Errorf("%s%s has %d points", m.Name, m.Tier, found)
		}
	}
	if stats.Loads == 0 || stats.LocalHits == 0 || stats.LoadErrors == 0 || stats.RedisErrors == 0 {
		t.Errorf("too little happened: %+v", stats)
	}
	if loads, _ := count(t, got["tiercache.load.duration"], ""); loads != stats.Loads {
		t.Errorf("%d loads in the histogram, %d in Stats", loads, stats.Loads)
	}
	if waits, _ := count(t, got["tiercache.wait.duration"], ""); waits != stats.Collapsed {
		t.Errorf("%d waits in the histogram, %d in Stats", waits, stats.Collapsed)
	}
	if failed, _ := count(t, got["tiercache.load.duration"], "timeout"); failed != stats.LoadErrors {
		t.Errorf("%d failed loads in the histogram, %d in Stats", failed, stats.LoadErrors)
	}
	if refused, points := count(t, got["db.client.operation.duration"], "OOM"); refused != stats.RedisErrors || points == 0 {
		t.Errorf("%d refused writes in the histogram, %d in Stats", refused, stats.RedisErrors)
	}
	io := got["tiercache.redis.io"].Data.(metricdata.Sum[int64]).DataPoints
	for _, p := range io {
		if p.Value <= 0 || !p.Attributes.HasValue("network.io.direction") {
			t.Errorf("%v: %d bytes", p.Attributes, p.Value)
		}
	}
	if len(io) != 2 {
		t.Errorf("%v", io)
	}
}

// count returns how many values of a histogram have that error.type, "" for any, and in how many points.
func count(t *testing.T, m metricdata.Metrics, errorType string) (values uint64, points int) {
	t.Helper()
	h := m.Data.(metricdata.Histogram[float64])
	for _, p := range h.DataPoints {
		if step, _ := p.Attributes.Value("tiercache.step"); step.AsString() == "replay" {
			continue // Stats doesn't count its errors
		}
		if kind, _ := p.Attributes.Value("error.type"); errorType == "" || kind == attribute.StringValue(errorType) {
			values, points = values+p.Count, points+1
		}
	}
	if m.Unit != "s" {
		t.Errorf("%s is in %s", m.Name, m.Unit)
	}
	return values, points
}

// The metrics of an HTTP cache are its Stats, those of its tiers included.
func TestMetricsOfAnHTTPCache(t *testing.T) {
	b := newBackend(t, otelcache.Options{Cache: "pages"})
	want := httpcache.Stats{Hits: 1, Stale: 2, Validated: 3, NotModified: 4, Misses: 5, Collapsed: 6, Stored: 7, Bypassed: 8}
	want.Tiers.Misses = 9
	if err := b.tel.ObserveHTTP(func() httpcache.Stats { return want }); err != nil {
		t.Fatal(err)
	}
	got := b.metrics(t)
	for _, m := range cachemetrics.HTTP() {
		points := got["tiercache.http."+m.Name].Data.(metricdata.Sum[int64]).DataPoints
		if len(points) != 1 || points[0].Value != m.Value(&want) {
			t.Errorf("%s: %v, want %d", m.Name, points, m.Value(&want))
		}
	}
	if points := got["tiercache.misses"].Data.(metricdata.Sum[int64]).DataPoints; len(points) != 1 || points[0].Value != 9 {
		t.Errorf("misses of the tiers: %v", points)
	}
}

func TestClose(t *testing.T) {
	b := newBackend(t, otelcache.Options{})
	b.newCache(t, nil, tiered.Options[string]{})
	if _, ok := b.metrics(t)["tiercache.loads"]; !ok {
		t.Error("the cache isn't observed")
	}
	if err := b.tel.Close(); err != nil {
		t.Fatal(err)
	}
	if got := b.metrics(t); len(got) != 0 {
		t.Errorf("after Close: %v", got)
	}
}

// Without providers, those of package otel are used.
func TestGlobalProviders(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	was := otel.GetMeterProvider()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	defer otel.SetMeterProvider(was)
	tel, err := otelcache.New(otelcache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tel.Observe(func() tiered.Stats { return tiered.Stats{Loads: 7} }); err != nil {
		t.Fatal(err)
	}
	b := &backend{reader: reader}
	if loads := b.metrics(t)["tiercache.loads"].Data.(metricdata.Sum[int64]).DataPoints; len(loads) != 1 || loads[0].Value != 7 {
		t.Errorf("%v", loads)
	}
}
