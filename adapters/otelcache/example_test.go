package otelcache_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tiercache/tiercache/adapters/otelcache"
	"github.com/tiercache/tiercache/tiered"
)

func Example() {
	exporter := tracetest.NewInMemoryExporter() // a program has one for its collector
	spans := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))

	tel, err := otelcache.New(otelcache.Options{Cache: "users", TracerProvider: spans})
	if err != nil {
		panic(err)
	}
	defer tel.Close()
	users, err := tiered.New(tiered.Options[string]{Name: "users", Trace: tel.Trace()})
	if err != nil {
		panic(err)
	}
	defer users.Close()
	if err := tel.Observe(users.Stats); err != nil {
		panic(err)
	}

	ctx, request := spans.Tracer("server").Start(context.Background(), "GET /users/7")
	name, _ := users.GetOrLoad(ctx, "7", func(context.Context, *tiered.Entry[string]) (string, error) {
		return "Ada", nil
	})
	request.End()

	fmt.Println(name)
	for _, s := range exporter.GetSpans() {
		fmt.Println(s.Name, s.Parent.SpanID() == request.SpanContext().SpanID())
	}
	// Output:
	// Ada
	// load users true
	// GET /users/7 false
}

func ExampleTelemetry_Trace_join() {
	tel, err := otelcache.New(otelcache.Options{Cache: "users"})
	if err != nil {
		panic(err)
	}
	mine := &tiered.Trace{Queued: func(keys []string, cause error) { fmt.Println("queued:", keys, cause) }}
	users, err := tiered.New(tiered.Options[string]{Name: "users", Trace: tel.Trace().Join(mine)})
	if err != nil {
		panic(err)
	}
	defer users.Close()
	fmt.Println(users.Stats().Queued)
	// Output: 0
}
