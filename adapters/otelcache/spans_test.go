package otelcache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tiercache/tiercache/adapters/otelcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func value(v string) tiered.Loader[string] {
	return func(context.Context, *tiered.Entry[string]) (string, error) { return v, nil }
}

func TestSpansOfAMiss(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := newBackend(t, otelcache.Options{Cache: "users", Keys: true})
	c := b.newCache(t, s, tiered.Options[string]{})
	if err := c.Set(t.Context(), "to know the cache's epoch", ""); err != nil {
		t.Fatal(err)
	}
	if n := b.names(); n != nil {
		t.Errorf("without a caller's span: %q", n)
	}
	ctx, caller := b.tracer.Start(t.Context(), "caller")
	if _, err := c.GetOrLoad(ctx, "7", func(ctx context.Context, _ *tiered.Entry[string]) (string, error) {
		_, source := b.tracer.Start(ctx, "source")
		defer source.End()
		return "value", nil
	}); err != nil {
		t.Fatal(err)
	}
	caller.End()
	load := b.only(t, "load users")
	get, lease, store := b.step(t, "get"), b.step(t, "lease"), b.step(t, "store")
	if get.Name() != "GET" || lease.Name() != "SET" || store.Name() != "EVAL" {
		t.Errorf("the steps are %s, %s, %s", get.Name(), lease.Name(), store.Name())
	}
	for name, parent := range map[string]trace.SpanContext{
		"GET": caller.SpanContext(), "SET": caller.SpanContext(), "load users": caller.SpanContext(), "source": load.SpanContext(),
	} {
		if s := b.only(t, name); s.Parent().SpanID() != parent.SpanID() || s.SpanContext().TraceID() != caller.SpanContext().TraceID() {
			t.Errorf("%s is not a child of the right span", name)
		}
	}
	if store.Parent().SpanID() != load.SpanContext().SpanID() {
		t.Error("the store is not a child of the load")
	}
	host, port, _ := strings.Cut(s.Addr(), ":")
	for key, want := range map[string]any{
		"db.system.name": "redis", "db.operation.name": "GET", "server.address": host, "server.port": port, "tiercache.cache": "users",
		"tiercache.step": "get", "tiercache.keys.count": int64(1), "tiercache.redis.sent": int64(len("tc:users:7")), "tiercache.redis.received": int64(0),
		"db.operation.batch.size": nil, "error.type": nil,
	} {
		if got := attributeOf(get, key); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if get.SpanKind() != trace.SpanKindClient || load.SpanKind() != trace.SpanKindInternal || get.Status().Code != codes.Unset {
		t.Errorf("kinds %v, %v, status %v", get.SpanKind(), load.SpanKind(), get.Status())
	}
	if keys := attributeOf(load, "tiercache.keys"); fmt.Sprint(keys) != "[7]" || attributeOf(load, "tiercache.load.kind") != "read" {
		t.Errorf("the load has %v", load.Attributes())
	}

	before := len(b.names())
	if _, err := c.GetOrLoad(ctx, "7", value("")); err != nil || len(b.names()) != before {
		t.Errorf("a local hit: %v, %q", err, b.names()[before:])
	}
}

// The span of a caller that waits for another's load is linked to the span of that load, which is in another trace.
func TestWaitIsLinked(t *testing.T) {
	t.Parallel()
	b := newBackend(t, otelcache.Options{Cache: "users"})
	c := b.newCache(t, redistest.Start(t), tiered.Options[string]{})
	running, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ctx, caller := b.tracer.Start(context.Background(), "first")
		defer caller.End()
		_, err := c.GetOrLoad(ctx, "k", func(context.Context, *tiered.Entry[string]) (string, error) {
			close(running)
			<-release
			return "", nil
		})
		done <- err
	}()
	<-running
	ctx, second := b.tracer.Start(t.Context(), "second")
	go func() {
		observe.Until(t, "the second call waits", func() bool { return c.Stats().Collapsed == 1 })
		close(release)
	}()
	if _, err := c.GetOrLoad(ctx, "k", value("")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wait, load := b.only(t, "wait users"), b.only(t, "load users")
	links := wait.Links()
	if len(links) != 1 || !links[0].SpanContext.Equal(load.SpanContext()) || load.SpanContext().TraceID() == wait.SpanContext().TraceID() {
		t.Errorf("the wait is linked to %v, the load is %v", links, load.SpanContext())
	}
	if wait.Parent().SpanID() != second.SpanContext().SpanID() || attributeOf(wait, "tiercache.wait.for") != "load" || attributeOf(wait, "tiercache.keys") != nil {
		t.Errorf("the wait has the parent %v, attributes %v", wait.Parent(), wait.Attributes())
	}
}

func TestWaitForAnotherProcess(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	other, b := newBackend(t, otelcache.Options{}), newBackend(t, otelcache.Options{})
	first, second := other.newCache(t, s, tiered.Options[string]{}), b.newCache(t, s, tiered.Options[string]{})
	ctx, caller := b.tracer.Start(t.Context(), "caller")
	waits := make(chan struct{})
	if _, err := first.GetOrLoad(t.Context(), "k", func(context.Context, *tiered.Entry[string]) (string, error) {
		go func() {
			defer close(waits)
			if got, err := second.GetOrLoad(ctx, "k", value("own")); got != "first's" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}()
		observe.Until(t, "the second process waits", func() bool {
			return slices.ContainsFunc(b.spans.Started(), func(s sdktrace.ReadWriteSpan) bool { return s.Name() == "wait cache" })
		})
		return "first's", nil
	}); err != nil {
		t.Fatal(err)
	}
	<-waits
	wait := b.only(t, "wait cache")
	if len(wait.Links()) != 0 || attributeOf(wait, "tiercache.wait.for") != "process" || wait.Parent().SpanID() != caller.SpanContext().SpanID() {
		t.Errorf("%v, %v, parent %v", wait.Links(), wait.Attributes(), wait.Parent())
	}
}

func TestSpansOfFailures(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := newBackend(t, otelcache.Options{Cache: "users"})
	c := b.newCache(t, s, tiered.Options[string]{})
	ctx, caller := b.tracer.Start(t.Context(), "caller")
	for name, load := range map[string]func() error{
		"panic":                func() error { panic("of a loader") },
		"timeout":              func() error { return fmt.Errorf("source: %w", context.DeadlineExceeded) },
		"canceled":             func() error { return context.Canceled },
		"*errors.errorString":  func() error { return fmt.Errorf("source: %w", errors.New("failure")) },
		"overloaded":           func() error { return tiered.ErrOverloaded },
		"nothing: not found":   func() error { return tiered.ErrNotFound },
		"nothing: it succeeds": func() error { return nil },
	} {
		func() {
			defer func() { _ = recover() }()
			_, _ = c.GetOrLoad(ctx, name, func(context.Context, *tiered.Entry[string]) (string, error) { return "", load() })
		}()
		spans := b.named("load users")
		span := spans[len(spans)-1]
		failed := !strings.HasPrefix(name, "nothing")
		if got := attributeOf(span, "error.type"); failed && got != name || !failed && got != nil || failed != (span.Status().Code == codes.Error) {
			t.Errorf("%s: error.type %v, %v", name, got, span.Status())
		}
		if strings.Contains(span.Status().Description, "goroutine") {
			t.Error("the description has the stack")
		}
	}
	s.Do("CONFIG", "SET", "maxmemory", "1")
	if err := c.Set(ctx, "k", "v"); err == nil {
		t.Fatal("a full Redis took a Set")
	}
	spans := b.named("SET")
	span := spans[len(spans)-1]
	if attributeOf(span, "error.type") != "OOM" || attributeOf(span, "db.response.status_code") != "OOM" || span.Status().Code != codes.Error {
		t.Errorf("%v, %v", span.Attributes(), span.Status())
	}
	caller.End()
}

func TestSpansOfABatch(t *testing.T) {
	t.Parallel()
	b := newBackend(t, otelcache.Options{Cache: "users"})
	c := b.newCache(t, redistest.Start(t), tiered.Options[string]{})
	ctx, caller := b.tracer.Start(t.Context(), "caller")
	ids := []string{"1", "2", "3"}
	got, err := tiered.GetOrLoadMany(ctx, c, ids, func(id string) string { return id }, func(_ context.Context, ids []string) (map[string]string, error) {
		all := make(map[string]string)
		for _, id := range ids {
			all[id] = id
		}
		return all, nil
	})
	caller.End()
	if len(got) != 3 || err != nil {
		t.Fatal(got, err)
	}
	for step, of := range map[string]struct {
		name string
		size any
	}{"get": {"MGET", nil}, "lease": {"PIPELINE SET", int64(3)}, "store": {"PIPELINE EVAL", int64(3)}} {
		if s := b.step(t, step); s.Name() != of.name || attributeOf(s, "db.operation.batch.size") != of.size || attributeOf(s, "tiercache.keys.count") != int64(3) {
			t.Errorf("%s has %v", s.Name(), s.Attributes())
		}
	}
}

// A background load, and an event on the span of the caller that got the stale value.
func TestSpansOfAStaleValue(t *testing.T) {
	b := newBackend(t, otelcache.Options{Cache: "users"})
	c := b.newCache(t, nil, tiered.Options[string]{Policy: tiered.Policy{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour}})
	if err := c.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	observe.Until(t, "the value is stale", func() bool {
		e, err := c.Lookup(t.Context(), "k")
		return err == nil && e.State == tiered.Stale
	})
	ctx, caller := b.tracer.Start(t.Context(), "caller")
	if got, err := c.GetOrLoad(ctx, "k", value("new")); got != "old" || err != nil {
		t.Fatal(got, err)
	}
	caller.End()
	observe.Until(t, "the load has ended", func() bool { return len(b.named("load users")) == 1 })
	if load := b.only(t, "load users"); attributeOf(load, "tiercache.load.kind") != "background" {
		t.Errorf("the load has %v", load.Attributes())
	}
	if events := b.only(t, "caller").Events(); len(events) != 1 || events[0].Name != "tiercache.stale" {
		t.Errorf("the caller's span has %v", events)
	}
}

// Another Trace beside it, which begins spans in the same contexts.
func TestJoinedTraces(t *testing.T) {
	b := newBackend(t, otelcache.Options{Cache: "users"})
	mine := &tiered.Trace{
		LoadStart: func(ctx context.Context, _ tiered.LoadInfo) context.Context {
			ctx, _ = b.tracer.Start(ctx, "mine")
			return ctx
		},
		LoadDone: func(ctx context.Context, _ []string, _ time.Duration, _ error) { trace.SpanFromContext(ctx).End() },
	}
	for i, joined := range []*tiered.Trace{b.tel.Trace().Join(mine), mine.Join(b.tel.Trace())} {
		c := b.newCache(t, nil, tiered.Options[string]{Trace: joined})
		if _, err := c.GetOrLoad(t.Context(), "k", value("")); err != nil {
			t.Fatal(err)
		}
		own, theirs := b.named("load users"), b.named("mine")
		if len(own) != i+1 || len(theirs) != i+1 {
			t.Fatalf("%q", b.names())
		}
		outer, inner := own[i], theirs[i]
		if i == 1 {
			outer, inner = inner, outer
		}
		if inner.Parent().SpanID() != outer.SpanContext().SpanID() {
			t.Error("the second Trace doesn't get the context of the first")
		}
	}
}
