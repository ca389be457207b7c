package otelcache

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/internal/cachemetrics"
	"github.com/tiercache/tiercache/tiered"
)

const scope = "github.com/tiercache/tiercache/adapters/otelcache"

// The attributes that no semantic convention has.
const (
	cacheKey    = attribute.Key("tiercache.cache")
	tierKey     = attribute.Key("tiercache.tier")
	keysKey     = attribute.Key("tiercache.keys")
	keyCountKey = attribute.Key("tiercache.keys.count")
	loadKindKey = attribute.Key("tiercache.load.kind")
	waitForKey  = attribute.Key("tiercache.wait.for")
	fallbackKey = attribute.Key("tiercache.fallback")
	stepKey     = attribute.Key("tiercache.step")
	sentKey     = attribute.Key("tiercache.redis.sent")
	receivedKey = attribute.Key("tiercache.redis.received")
	failedKey   = attribute.Key("tiercache.redis.failed")
)

// Options configures a [Telemetry].
type Options struct {
	// Cache is the name of the cache in attributes and in the names of spans. It should be Options.Name of the cache. "": "cache".
	Cache string
	// TracerProvider makes the spans. nil: otel.GetTracerProvider().
	TracerProvider trace.TracerProvider
	// MeterProvider makes the instruments. nil: otel.GetMeterProvider().
	MeterProvider metric.MeterProvider
	// Keys adds the keys to the spans of loads and waits, as tiercache.keys. Keys may be personal data. false: only their number.
	Keys bool
}

// Telemetry reports one cache to OpenTelemetry.
type Telemetry struct {
	name   string
	keys   bool
	cache  attribute.KeyValue
	tracer trace.Tracer
	meter  metric.Meter
	instruments

	mu            sync.Mutex
	registrations []metric.Registration
}

// instruments are those that the Trace records to.
type instruments struct {
	loadTime, redisTime, waitTime metric.Float64Histogram
	redisIO                       metric.Int64Counter
}

// New returns a Telemetry. It returns an error if the meter refuses an instrument.
func New(o Options) (*Telemetry, error) {
	if o.Cache == "" {
		o.Cache = "cache"
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	t := &Telemetry{
		name: o.Cache, keys: o.Keys, cache: cacheKey.String(o.Cache),
		tracer: o.TracerProvider.Tracer(scope), meter: o.MeterProvider.Meter(scope),
	}
	histogram := func(name, description string) (metric.Float64Histogram, error) {
		return t.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10))
	}
	var errs [4]error
	t.loadTime, errs[0] = histogram("tiercache.load.duration", "Duration of calls of the loader.")
	t.redisTime, errs[1] = histogram("db.client.operation.duration", "Duration of database client operations.")
	t.waitTime, errs[2] = histogram("tiercache.wait.duration", "How long callers and loads waited for the load of another.")
	t.redisIO, errs[3] = t.meter.Int64Counter("tiercache.redis.io", metric.WithUnit("By"), metric.WithDescription("Bytes of keys and values to and from Redis."))
	return t, errors.Join(errs[:]...)
}

// Observe registers the counters of a cache, whose Stats method it gets. It returns an error if the meter refuses an instrument.
func (t *Telemetry) Observe(stats func() tiered.Stats) error {
	return observe(t, "tiercache.", cachemetrics.Tiers(), stats)
}

// ObserveHTTP registers the counters of an HTTP cache, whose Stats method it gets, and those of its tiers. It returns an error if the
// meter refuses an instrument.
func (t *Telemetry) ObserveHTTP(stats func() httpcache.Stats) error {
	if err := t.Observe(func() tiered.Stats { return stats().Tiers }); err != nil {
		return err
	}
	return observe(t, "tiercache.http.", cachemetrics.HTTP(), stats)
}

// observe registers metrics whose names begin with prefix.
func observe[S any](t *Telemetry, prefix string, metrics []cachemetrics.Metric[S], stats func() S) error {
	var all []metric.Observable
	var report []func(metric.Observer, *S)
	for _, m := range metrics {
		attributes := metric.WithAttributeSet(attribute.NewSet(t.cache))
		if m.Tier != "" {
			attributes = metric.WithAttributeSet(attribute.NewSet(t.cache, tierKey.String(m.Tier)))
		}
		i, err := observable(t.meter, prefix, m)
		if err != nil {
			return err
		}
		all = append(all, i)
		report = append(report, func(o metric.Observer, s *S) { o.ObserveInt64(i, m.Value(s), attributes) })
	}
	r, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		for _, f := range report {
			f(o, &s)
		}
		return nil
	}, all...)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.registrations = append(t.registrations, r)
	return nil
}

// observable returns the instrument of a metric.
func observable[S any](meter metric.Meter, prefix string, m cachemetrics.Metric[S]) (metric.Int64Observable, error) {
	name, unit, description := prefix+m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	if m.Present {
		return meter.Int64ObservableUpDownCounter(name, unit, description)
	}
	return meter.Int64ObservableCounter(name, unit, description)
}

// Close ends what Observe and ObserveHTTP have registered. The Trace may still be used.
func (t *Telemetry) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, r := range t.registrations {
		errs = append(errs, r.Unregister())
	}
	t.registrations = nil
	return errors.Join(errs...)
}
