package grpccache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

// Options configures an [Interceptor]. The zero Options cache the methods that have no side effects under the cache's policy.
type Options struct {
	// Methods have other policies than the cache, or are cached though their .proto file doesn't say that they have no side effects. A
	// key is a full name, such as "/users.v1.Users/Get". A function changes a copy of the cache's policy; nil leaves it as it is.
	// The cache's policy with all of them must be valid.
	Methods map[string]func(*tiered.Policy)
	// Vary are the names of metadata on which responses depend, in lower case, such as "accept-language". Their values are part of the key.
	// With "authorization" calls are cached that have such metadata, for each of its values.
	Vary []string
	// Skip reports whether a call isn't cached. nil: none is skipped.
	Skip func(ctx context.Context, method string, request proto.Message) bool
}

// Interceptor has interceptors that share a cache.
type Interceptor struct {
	methods methods
	vary    []string
	skip    func(ctx context.Context, method string, request proto.Message) bool
}

// New returns an Interceptor over a cache with codec.Raw, which the caller closes. It returns an error if the cache is nil, or an option is
// invalid.
func New(cache *tiered.Cache[[]byte], o Options) (*Interceptor, error) {
	if cache == nil {
		return nil, errors.New("grpccache: the cache is nil: want one that tiered.New returned")
	}
	for _, name := range o.Vary {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" { // the characters that gRPC allows
			return nil, fmt.Errorf("grpccache: Options.Vary has %q: want a name of metadata, in lower case", name)
		}
	}
	i := &Interceptor{methods: methods{cache: cache}, vary: slices.Compact(slices.Sorted(slices.Values(o.Vary))), skip: o.Skip}
	for name, edit := range o.Methods {
		if err := i.methods.choose(name, edit); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// Key returns the key of a method's response in the cache, for Delete or Refresh. method is the full name, such as
// "/users.v1.Users/Get". Of md it uses the metadata that Options.Vary names. It returns an error if the request can't be encoded.
func (i *Interceptor) Key(method string, request proto.Message, md metadata.MD) (string, error) {
	encoded, err := encode(request)
	if err != nil {
		return "", fmt.Errorf("grpccache: %s: encoding the request: %w", method, err)
	}
	return i.key(method, encoded, md), nil
}

// encode encodes a request, in this process the same each time.
func encode(request proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(request)
}

// key is Key of an encoded request.
func (i *Interceptor) key(method string, encoded []byte, md metadata.MD) string {
	values := make([][]string, len(i.vary))
	for n, name := range i.vary {
		values[n] = md.Get(name)
	}
	return keys.Join(method, keys.Digest(struct {
		Request []byte
		Vary    [][]string
	}{encoded, values}))
}

// UnaryServer is a [grpc.UnaryServerInterceptor]. It returns what the handler returned or, from the cache, an equal message. The error
// is the handler's; Unavailable if there is no permit for the load ([tiered.ErrOverloaded]); NotFound for [tiered.ErrNotFound];
// or that of ctx.
func (i *Interceptor) UnaryServer(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	in, _ := request.(proto.Message)
	md, _ := metadata.FromIncomingContext(ctx)
	c := i.cached(ctx, info.FullMethod, in, md)
	if c == nil {
		return handler(ctx, request)
	}
	out := c.response.New().Interface()
	direct, err := c.get(ctx, out, func(ctx context.Context) (proto.Message, error) {
		v, err := handler(grpc.NewContextWithServerTransportStream(ctx, stream(info.FullMethod)), request)
		if err != nil {
			return nil, err
		}
		response, ok := v.(proto.Message)
		if !ok {
			return nil, status.Errorf(codes.Internal, "grpccache: %s returned a %T: want a proto.Message", info.FullMethod, v)
		}
		return response, nil
	})
	switch {
	case direct:
		return handler(ctx, request)
	case err != nil:
		return nil, err
	}
	return out, nil
}

// UnaryClient is a [grpc.UnaryClientInterceptor]. Its errors are those of UnaryServer, with the call's in place of the handler's.
//
//nolint:revive // gRPC decides what it is given
func (i *Interceptor) UnaryClient(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	in, _ := request.(proto.Message)
	out, ok := reply.(proto.Message)
	md, _ := metadata.FromOutgoingContext(ctx)
	c := i.cached(ctx, method, in, md)
	shared, callers := optionsOfLoads(opts)
	if c == nil || !ok || callers || out.ProtoReflect().Descriptor() != c.response.Descriptor() {
		return invoke(ctx, method, request, reply, cc, opts...)
	}
	direct, err := c.get(ctx, out, func(ctx context.Context) (proto.Message, error) {
		sent := in.ProtoReflect().New().Interface() // the caller may change its own when it has returned
		if err := proto.Unmarshal(c.request, sent); err != nil {
			return nil, err
		}
		response := c.response.New().Interface()
		return response, invoke(ctx, method, sent, response, cc, shared...)
	})
	if direct {
		return invoke(ctx, method, request, reply, cc, opts...)
	}
	return err
}

// optionsOfLoads returns the options of a call that loads for all callers: without those that report to this caller. callers means
// that the response may be for this caller only.
func optionsOfLoads(all []grpc.CallOption) (shared []grpc.CallOption, callers bool) {
	for _, o := range all {
		switch o.(type) {
		case grpc.HeaderCallOption, grpc.TrailerCallOption, grpc.PeerCallOption, grpc.OnFinishCallOption:
		case grpc.PerRPCCredsCallOption:
			callers = true
		default:
			shared = append(shared, o)
		}
	}
	return shared, callers
}

// cached returns a call as it is cached; nil: it isn't.
func (i *Interceptor) cached(ctx context.Context, name string, request proto.Message, md metadata.MD) *call {
	if request == nil || len(md["authorization"]) > 0 && !slices.Contains(i.vary, "authorization") {
		return nil
	}
	m := i.methods.find(name)
	if m == nil || i.skip != nil && i.skip(ctx, name, request) {
		return nil
	}
	encoded, err := encode(request)
	if err != nil {
		return nil
	}
	return &call{m, i.key(name, encoded, md), encoded}
}

// stream is the grpc.ServerTransportStream of a load: its method's name. It drops headers and trailers.
type stream string

func (s stream) Method() string               { return string(s) }
func (s stream) SetHeader(metadata.MD) error  { return nil }
func (s stream) SendHeader(metadata.MD) error { return nil }
func (s stream) SetTrailer(metadata.MD) error { return nil }
