package otelcache

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tiercache/tiercache/tiered"
)

// operation is what the context of a load, a call of Redis or a wait carries from its beginning to its end.
type operation struct {
	trace.Span        // doesn't record if there is none
	kind       string // of a load
}

// operationKey is the key of the operation among a context's values. Spans that others begin in the context don't hide it.
type operationKey struct{}

// operationOf returns the operation of a context that begin returned.
func operationOf(ctx context.Context) operation {
	o, ok := ctx.Value(operationKey{}).(operation)
	if !ok {
		o.Span = trace.SpanFromContext(context.Background())
	}
	return o
}

// begin begins an operation with its span.
func (t *Telemetry) begin(ctx context.Context, name, kind string, options ...trace.SpanStartOption) context.Context {
	ctx, span := t.tracer.Start(ctx, name, options...)
	return context.WithValue(ctx, operationKey{}, operation{span, kind})
}

// beginWithin is begin for an operation that has a span only within another.
func (t *Telemetry) beginWithin(ctx context.Context, name string, options ...trace.SpanStartOption) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return context.WithValue(ctx, operationKey{}, operation{Span: trace.SpanFromContext(ctx)})
	}
	return t.begin(ctx, name, "", options...)
}

// end ends the operation's span.
func (o operation) end(err error, attributes ...attribute.KeyValue) {
	o.SetAttributes(attributes...)
	if err != nil {
		o.SetStatus(codes.Error, describe(err))
	}
	o.End()
}

// Trace returns the functions for Options.Trace of the cache.
func (t *Telemetry) Trace() *tiered.Trace {
	return &tiered.Trace{
		LoadStart: t.loadStart, LoadDone: t.loadDone,
		RedisStart: t.redisStart, RedisDone: t.redisDone,
		WaitStart: t.waitStart, WaitDone: t.waitDone,
		StaleServed: t.staleServed,
	}
}

func (t *Telemetry) loadStart(ctx context.Context, l tiered.LoadInfo) context.Context {
	kind := "read"
	switch {
	case l.Refresh:
		kind = "refresh"
	case l.Background:
		kind = "background"
	}
	return t.begin(ctx, "load "+t.name, kind, trace.WithAttributes(append(t.of(l.Keys), loadKindKey.String(kind))...))
}

func (t *Telemetry) loadDone(ctx context.Context, _ []string, took time.Duration, err error) {
	o := operationOf(ctx)
	failure := errorType(err)
	o.end(err, failure...)
	t.loadTime.Record(ctx, took.Seconds(), metric.WithAttributes(append(failure, t.cache, loadKindKey.String(o.kind))...))
}

func (t *Telemetry) redisStart(ctx context.Context, r tiered.RedisInfo) context.Context {
	name := operationName(r)
	attributes := append(server(r.Addr), systemName, operationNameKey.String(name), t.cache, stepKey.String(r.Step), keyCountKey.Int(r.Keys), sentKey.Int(r.Sent))
	return t.beginWithin(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

func (t *Telemetry) redisDone(ctx context.Context, r tiered.RedisInfo) {
	o, name, failure := operationOf(ctx), operationName(r), redisErrorType(r.Err)
	if o.IsRecording() {
		o.SetName(name)
		attributes := append(failure, operationNameKey.String(name), receivedKey.Int(r.Received))
		if isBatch(r) {
			attributes = append(attributes, batchSizeKey.Int(r.Keys))
		}
		if r.Failed > 0 {
			attributes = append(attributes, failedKey.Int(r.Failed))
		}
		o.SetAttributes(attributes...)
	}
	o.end(r.Err)
	t.redisTime.Record(ctx, r.Took.Seconds(), metric.WithAttributes(append(append(failure, server(r.Addr)...), systemName, operationNameKey.String(name), t.cache, stepKey.String(r.Step))...))
	t.redisIO.Add(ctx, int64(r.Sent), metric.WithAttributes(t.cache, directionKey.String("transmit")))
	t.redisIO.Add(ctx, int64(r.Received), metric.WithAttributes(t.cache, directionKey.String("receive")))
}

func (t *Telemetry) waitStart(ctx context.Context, w tiered.WaitInfo) context.Context {
	return t.beginWithin(ctx, "wait "+t.name, trace.WithAttributes(append(t.of(w.Keys), waitsFor(w))...))
}

func (t *Telemetry) waitDone(ctx context.Context, w tiered.WaitInfo) {
	o, failure := operationOf(ctx), errorType(w.Err)
	if w.Load != nil {
		if load := operationOf(w.Load).SpanContext(); load.IsValid() {
			o.AddLink(trace.Link{SpanContext: load})
		}
	}
	o.end(w.Err, append(failure, fallbackKey.Bool(w.Fallback))...)
	t.waitTime.Record(ctx, w.Took.Seconds(), metric.WithAttributes(append(failure, t.cache, waitsFor(w))...))
}

func (t *Telemetry) staleServed(ctx context.Context, key string, cause error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent("tiercache.stale", trace.WithAttributes(append(t.of([]string{key}), errorType(cause)...)...))
}

// of returns the attributes of an operation on the keys.
func (t *Telemetry) of(keys []string) []attribute.KeyValue {
	all := []attribute.KeyValue{t.cache, keyCountKey.Int(len(keys))}
	if t.keys {
		all = append(all, keysKey.StringSlice(keys))
	}
	return all
}

func waitsFor(w tiered.WaitInfo) attribute.KeyValue {
	if w.Process {
		return waitForKey.String("process")
	}
	return waitForKey.String("load")
}
