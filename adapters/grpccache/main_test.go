package grpccache_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tiercache/tiercache/adapters/grpccache"
	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const (
	get    = "/test.Users/Get"    // has no side effects
	rename = "/test.Users/Rename" // may have some
)

func TestMain(m *testing.M) {
	if err := register(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// register registers the service test.Users as generated code would.
func register() error {
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: &name, InputType: proto.String(".google.protobuf.StringValue"), OutputType: proto.String(".google.protobuf.StringValue"),
			Options: &descriptorpb.MethodOptions{IdempotencyLevel: level.Enum()},
		}
	}
	watch := method("Watch", descriptorpb.MethodOptions_NO_SIDE_EFFECTS)
	watch.ServerStreaming = proto.Bool(true)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("test/users.proto"), Package: proto.String("test"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Users"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Get", descriptorpb.MethodOptions_NO_SIDE_EFFECTS), method("Rename", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN), watch,
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(file)
}

// users is the service: both methods call handle.
type users struct {
	calls  atomic.Int64
	handle func(ctx context.Context, id string) (string, error)
}

func (u *users) call(ctx context.Context, request any) (any, error) {
	u.calls.Add(1)
	v, err := u.handle(ctx, request.(*wrapperspb.StringValue).Value)
	if err != nil {
		return nil, err
	}
	return wrapperspb.String(v), nil
}

// method describes a method of the service, as generated code does.
func method(name string) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return srv.(*users).call(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Users/" + name}, srv.(*users).call)
	}}
}

// serve starts the service, and returns a connection to it.
func serve(t testing.TB, u *users, server []grpc.UnaryServerInterceptor, client ...grpc.UnaryClientInterceptor) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(server...))
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Users", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{method("Get"), method("Rename")}}, u)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	cc, err := grpc.NewClient("passthrough:///users", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }), grpc.WithChainUnaryInterceptor(client...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// call calls a method of the service.
func call(ctx context.Context, cc *grpc.ClientConn, method, id string, opts ...grpc.CallOption) (string, error) {
	out := new(wrapperspb.StringValue)
	err := cc.Invoke(ctx, method, wrapperspb.String(id), out, opts...)
	return out.Value, err
}

// newCache makes a cache for responses. A nil server is none.
func newCache(t testing.TB, s *redistest.Server, o tiered.Options[[]byte]) *tiered.Cache[[]byte] {
	t.Helper()
	o.Name, o.Codec = "grpc", codec.Raw
	if s != nil {
		r, err := tiered.NewRedis(s.Client(t), tiered.RedisOptions{Timeout: 10 * time.Second})
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
	return c
}

func newInterceptor(t testing.TB, c *tiered.Cache[[]byte], o grpccache.Options) *grpccache.Interceptor {
	t.Helper()
	i, err := grpccache.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// onServer starts the service with a cache in the server.
func onServer(t testing.TB, u *users, o grpccache.Options) (*grpc.ClientConn, *tiered.Cache[[]byte], *grpccache.Interceptor) {
	t.Helper()
	c := newCache(t, nil, tiered.Options[[]byte]{})
	i := newInterceptor(t, c, o)
	return serve(t, u, []grpc.UnaryServerInterceptor{i.UnaryServer}), c, i
}

// onClient starts the service with a cache in the client.
func onClient(t testing.TB, u *users, o grpccache.Options) (*grpc.ClientConn, *tiered.Cache[[]byte], *grpccache.Interceptor) {
	t.Helper()
	c := newCache(t, nil, tiered.Options[[]byte]{})
	i := newInterceptor(t, c, o)
	return serve(t, u, nil, i.UnaryClient), c, i
}
