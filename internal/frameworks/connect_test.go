package frameworks_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Connect's GET requests are cached, and its POST requests aren't.
func TestConnect(t *testing.T) {
	type message = wrapperspb.StringValue
	const procedure = "/test.Users/Get"
	var calls atomic.Int64
	handler := connect.NewUnaryHandler(procedure, func(_ context.Context, r *connect.Request[message]) (*connect.Response[message], error) {
		return connect.NewResponse(wrapperspb.String(fmt.Sprint(r.Msg.Value, "#", calls.Add(1)))), nil
	}, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	cache, err := httpcache.New(httpcache.Options{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cache.Close() }()
	server := httptest.NewServer(cache.Handler(handler))
	defer server.Close()
	gets := func(client *connect.Client[message, message], id, want string) {
		t.Helper()
		got, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(id)))
		if err != nil || got.Msg.Value != want {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
	}
	get := connect.NewClient[message, message](server.Client(), server.URL+procedure, connect.WithHTTPGet(), connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	post := connect.NewClient[message, message](server.Client(), server.URL+procedure)
	for range 2 {
		gets(get, "1", "1#1")
		gets(get, "2", "2#2")
	}
	gets(post, "1", "1#3")
	gets(post, "1", "1#4")
}
