package grpccache_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tiercache/tiercache/adapters/grpccache"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// A server that calls the handler of Get once for all equal requests of a minute. Get has no side effects, by its .proto file.
func Example() {
	cache, err := tiered.New(tiered.Options[[]byte]{Name: "grpc", Codec: codec.Raw})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	responses, err := grpccache.New(cache, grpccache.Options{})
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(responses.UnaryServer))
	defer server.Stop()

	handler := func(ctx context.Context, request any) (any, error) {
		id := request.(*wrapperspb.StringValue).Value
		fmt.Println("the handler is called for", id)
		grpccache.AddTags(ctx, "user:"+id)
		return wrapperspb.String("Ada"), nil
	}
	for range 2 { // as the server calls it
		name, err := responses.UnaryServer(context.Background(), wrapperspb.String("42"), &grpc.UnaryServerInfo{FullMethod: "/test.Users/Get"}, handler)
		fmt.Println(name.(*wrapperspb.StringValue).Value, err)
	}
	// Output:
	// the handler is called for 42
	// Ada <nil>
	// Ada <nil>
}
