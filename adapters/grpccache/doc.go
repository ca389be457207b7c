// Package grpccache caches the responses of gRPC methods in a cache of package tiered, in a server or in a client.
//
//	cache, err := tiered.New(tiered.Options[[]byte]{Name: "grpc", Codec: codec.Raw, Redis: r})
//	responses, err := grpccache.New(cache, grpccache.Options{})
//	server := grpc.NewServer(grpc.ChainUnaryInterceptor(authenticate, responses.UnaryServer))
//
// It caches unary methods whose .proto file says that they have no side effects:
//
//	rpc Get(GetRequest) returns (User) { option idempotency_level = NO_SIDE_EFFECTS; }
//
// and those of Options.Methods. The key of a response is made of the method, the request, and the metadata that Options.Vary names.
// A call with authorization metadata isn't cached unless Vary names that, because its response may be for this caller only. Interceptors
// before this one, such as one that authenticates, run for each call; those behind it, and the handler, only for a load. If these make
// responses depend on anything else, such as the client's certificate, Options.Skip must leave such calls out.
//
// # What a handler has to know
//
// A handler that is called for a load is a [tiered.Loader]: its context has the values of the first caller's, but ends
// after Policy.LoadTimeout, not with the call. Headers and trailers that it sets are dropped, since most callers get the response
// without it. [AddTags] gives the response tags, for InvalidateTags of the cache; [SetTTL] says how long it is kept. An error
// reaches all callers that wait, and isn't stored.
//
// Each caller gets a message of its own, which it may change.
//
// # The files, from the bottom up
//
//   - response.go: what a handler says about its response, in its context.
//   - method.go, errors.go: which methods are cached, and a read of the cache; the codes of errors.
//   - interceptor.go: the interceptors, and the keys.
package grpccache
