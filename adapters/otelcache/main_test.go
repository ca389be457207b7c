package otelcache_test

import (
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/otelcache"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend keeps the telemetry of a test in memory.
type backend struct {
	spans  *tracetest.SpanRecorder
	tracer trace.Tracer // of the callers
	reader *sdkmetric.ManualReader
	tel    *otelcache.Telemetry
}

func newBackend(t testing.TB, o otelcache.Options) *backend {
	t.Helper()
	b := &backend{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	spans := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(b.spans))
	b.tracer = spans.Tracer("of the callers")
	o.TracerProvider, o.MeterProvider = spans, sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader))
	var err error
	if b.tel, err = otelcache.New(o); err != nil {
		t.Fatal(err)
	}
	return b
}

// newCache makes a cache that reports to the backend. A nil server is none.
func (b *backend) newCache(t testing.TB, s *redistest.Server, o tiered.Options[string]) *tiered.Cache[string] {
	t.Helper()
	o.Name = "users"
	if o.Trace == nil {
		o.Trace = b.tel.Trace()
	}
	if s != nil {
		r, err := tiered.NewRedis(s.Client(t), tiered.RedisOptions{Invalidation: tiered.None, Heartbeat: time.Hour, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		o.Redis = r
	}
	c, err := tiered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := b.tel.Observe(c.Stats); err != nil {
		t.Fatal(err)
	}
	return c
}

// named returns the ended spans of that name.
func (b *backend) named(name string) (some []sdktrace.ReadOnlySpan) {
	for _, s := range b.spans.Ended() {
		if s.Name() == name {
			some = append(some, s)
		}
	}
	return some
}

// only returns the one ended span of that name.
func (b *backend) only(t testing.TB, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	some := b.named(name)
	if len(some) != 1 {
		t.Fatalf("%d spans are named %q, of %q", len(some), name, b.names())
	}
	return some[0]
}

// step returns the one ended span of that step in Redis.
func (b *backend) step(t testing.TB, step string) (found sdktrace.ReadOnlySpan) {
	t.Helper()
	for _, s := range b.spans.Ended() {
		if attributeOf(s, "tiercache.step") != step {
			continue
		}
		if found != nil {
			t.Fatalf("there are two steps %q", step)
		}
		found = s
	}
	if found == nil {
		t.Fatalf("there is no step %q, of %q", step, b.names())
	}
	return found
}

func (b *backend) names() (all []string) {
	for _, s := range b.spans.Ended() {
		all = append(all, s.Name())
	}
	return all
}

// attribute returns the attribute of a span, or nil.
func attributeOf(s sdktrace.ReadOnlySpan, key string) any {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value.AsInterface()
		}
	}
	return nil
}

// metrics collects all metrics, by name.
func (b *backend) metrics(t testing.TB) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := b.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	named := make(map[string]metricdata.Metrics)
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			named[m.Name] = m
		}
	}
	return named
}
