package grpccache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tiercache/tiercache/adapters/grpccache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// sides are where the cache may be.
var sides = map[string]func(testing.TB, *users, grpccache.Options) (*grpc.ClientConn, *tiered.Cache[[]byte], *grpccache.Interceptor){
	"server": onServer, "client": onClient,
}

// onBothSides runs a test with the cache in the server, and in the client.
func onBothSides(t *testing.T, test func(t *testing.T, open func(*users, grpccache.Options) (*grpc.ClientConn, *tiered.Cache[[]byte], *grpccache.Interceptor))) {
	for name, side := range sides {
		t.Run(name, func(t *testing.T) {
			test(t, func(u *users, o grpccache.Options) (*grpc.ClientConn, *tiered.Cache[[]byte], *grpccache.Interceptor) {
				return side(t, u, o)
			})
		})
	}
}

type opener = func(*users, grpccache.Options) (*grpc.ClientConn, *tiered.Cache[[]byte], *grpccache.Interceptor)

// numbered counts the calls in its responses.
func numbered() *users {
	u := new(users)
	u.handle = func(_ context.Context, id string) (string, error) { return fmt.Sprint(id, "#", u.calls.Load()), nil }
	return u
}

// gets fails the test unless the call returns that.
func gets(t *testing.T, ctx context.Context, cc *grpc.ClientConn, method, id, want string, opts ...grpc.CallOption) {
	t.Helper()
	if got, err := call(ctx, cc, method, id, opts...); err != nil || got != want {
		t.Errorf("%s of %q returns %q, %v; want %q", method, id, got, err, want)
	}
}

func TestMethodWithoutSideEffects(t *testing.T) {
	onBothSides(t, func(t *testing.T, open opener) {
		cc, _, _ := open(numbered(), grpccache.Options{})
		for range 2 {
			gets(t, t.Context(), cc, get, "1", "1#1")
		}
		gets(t, t.Context(), cc, get, "2", "2#2")
		gets(t, t.Context(), cc, get, "1", "1#1")
		gets(t, t.Context(), cc, rename, "1", "1#3")
		gets(t, t.Context(), cc, rename, "1", "1#4")
	})
}

func TestOneCallOfTheHandler(t *testing.T) {
	onBothSides(t, func(t *testing.T, open opener) {
		release := make(chan struct{})
		u := &users{handle: func(_ context.Context, id string) (string, error) { <-release; return id, nil }}
		cc, c, _ := open(u, grpccache.Options{})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { gets(t, t.Context(), cc, get, "1", "1") })
		}
		observe.Until(t, "all wait", func() bool { return c.Stats().Collapsed == 19 })
		close(release)
		all.Wait()
		if n := u.calls.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestMethodsByName(t *testing.T) {
	onBothSides(t, func(t *testing.T, open opener) {
		cc, c, i := open(numbered(), grpccache.Options{Methods: map[string]func(*tiered.Policy){
			rename: nil,
			get:    func(p *tiered.Policy) { p.TTL = 20 * time.Millisecond },
		}})
		gets(t, t.Context(), cc, rename, "1", "1#1")
		gets(t, t.Context(), cc, get, "1", "1#2")
		observe.Until(t, "a TTL of the method is over", func() bool {
			got, err := call(t.Context(), cc, get, "1")
			return err == nil && got == "1#3"
		})
		gets(t, t.Context(), cc, rename, "1", "1#1")
		key, err := i.Key(rename, wrapperspb.String("1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if got, err := call(t.Context(), cc, rename, "1"); err != nil || got == "1#1" {
			t.Errorf("after a Delete: %q, %v", got, err)
		}
	})
}

// A response for one caller goes to no other.
func TestAuthorization(t *testing.T) {
	onBothSides(t, func(t *testing.T, open opener) {
		as := func(user string) context.Context {
			return metadata.AppendToOutgoingContext(t.Context(), "authorization", user)
		}
		cc, _, _ := open(numbered(), grpccache.Options{})
		gets(t, as("ada"), cc, get, "1", "1#1")
		gets(t, as("ada"), cc, get, "1", "1#2")
		gets(t, t.Context(), cc, get, "1", "1#3")

		cc, _, _ = open(numbered(), grpccache.Options{Vary: []string{"authorization"}})
		for range 2 {
			gets(t, as("ada"), cc, get, "1", "1#1")
			gets(t, as("grace"), cc, get, "1", "1#2")
			gets(t, t.Context(), cc, get, "1", "1#3")
		}
	})
}

func TestVaryAndSkip(t *testing.T) {
	onBothSides(t, func(t *testing.T, open opener) {
		in := func(languages ...string) context.Context {
			ctx := t.Context()
			for _, l := range languages {
				ctx = metadata.AppendToOutgoingContext(ctx, "accept-language", l, "x-request-id", l)
			}
			return ctx
		}
		cc, _, _ := open(numbered(), grpccache.Options{
			Vary: []string{"accept-language"},
			Skip: func(_ context.Context, method string, request proto.Message) bool {
				return method == get && request.(*wrapperspb.StringValue).Value == "never"
			},
		})
		for range 2 {
			gets(t, in("en"), cc, get, "1", "1#1")
			gets(t, in("de"), cc, get, "1", "1#2")
			gets(t, in("en", "de"), cc, get, "1", "1#3")
			gets(t, in("ende"), cc, get, "1", "1#4")
		}
		gets(t, in(), cc, get, "never", "never#5")
		gets(t, in(), cc, get, "never", "never#6")
	})
}

// What a handler says about its response.
func TestTagsAndTTL(t *testing.T) {
	u := new(users)
	u.handle = func(ctx context.Context, id string) (string, error) {
		if id == "not kept" {
			grpccache.SetTTL(ctx, 0)
		}
		grpccache.AddTags(ctx, "users", "user "+id)
		return fmt.Sprint(id, "#", u.calls.Load()), nil
	}
	cc, c, _ := onServer(t, u, grpccache.Options{})
	gets(t, t.Context(), cc, get, "not kept", "not kept#1")
	gets(t, t.Context(), cc, get, "not kept", "not kept#2")
	gets(t, t.Context(), cc, get, "1", "1#3")
	gets(t, t.Context(), cc, get, "2", "2#4")
	if err := c.InvalidateTags(t.Context(), "user 1"); err != nil {
		t.Fatal(err)
	}
	gets(t, t.Context(), cc, get, "1", "1#5")
	gets(t, t.Context(), cc, get, "2", "2#4")
	gets(t, t.Context(), cc, rename, "1", "1#6") // what it says about a response that isn't stored has no effect
}

func TestErrors(t *testing.T) {
	onBothSides(t, func(t *testing.T, open opener) {
		failure := status.Error(codes.FailedPrecondition, "no such tenant")
		u := &users{handle: func(context.Context, string) (string, error) { return "", failure }}
		cc, c, _ := open(u, grpccache.Options{})
		for n := range int64(2) {
			if _, err := call(t.Context(), cc, get, "1"); status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "no such tenant" {
				t.Error(err)
			}
			if got := u.calls.Load(); got != n+1 {
				t.Errorf("%d calls: an error was kept", got)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		u.handle = func(_ context.Context, id string) (string, error) { return id, nil }
		gets(t, t.Context(), cc, get, "1", "1") // without the cache
	})
}

// The cache's own errors have the codes that clients act on.
func TestCodes(t *testing.T) {
	hang, left := make(chan struct{}), make(chan struct{})
	u := &users{handle: func(_ context.Context, id string) (string, error) {
		switch id {
		case "hangs":
			<-hang
		case "canceled":
			<-left // so that the caller doesn't find the result
		case "absent":
			return "", fmt.Errorf("in the source: %w", tiered.ErrNotFound)
		}
		return id, nil
	}}
	c := newCache(t, nil, tiered.Options[[]byte]{MaxLoads: 1, Policy: tiered.Policy{LoadTimeout: 50 * time.Millisecond}})
	i := newInterceptor(t, c, grpccache.Options{})
	invoke := func(ctx context.Context, id string) error {
		_, err := i.UnaryServer(ctx, wrapperspb.String(id), &grpc.UnaryServerInfo{FullMethod: get}, u.call)
		return err
	}
	if err := invoke(t.Context(), "absent"); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := invoke(ended, "canceled"); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	close(left)
	observe.Until(t, "the end of the load", func() bool { return c.Stats().LoadsRunning == 0 })
	if err := invoke(t.Context(), "hangs"); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if err := invoke(t.Context(), "waits for the permit"); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	close(hang)
}

// Headers that a handler sets are dropped for all callers, rather than sent to the first.
func TestHeaders(t *testing.T) {
	u := &users{handle: func(ctx context.Context, id string) (string, error) {
		if err := errors.Join(grpc.SetHeader(ctx, metadata.Pairs("x", "y")), grpc.SetTrailer(ctx, metadata.Pairs("x", "y")), grpc.SendHeader(ctx, nil)); err != nil {
			return "", err
		}
		m, _ := grpc.Method(ctx)
		return m, nil
	}}
	cc, _, _ := onServer(t, u, grpccache.Options{})
	var header, trailer metadata.MD
	gets(t, t.Context(), cc, get, "1", get, grpc.Header(&header), grpc.Trailer(&trailer))
	if len(header.Get("x"))+len(trailer.Get("x")) > 0 {
		t.Errorf("%v, %v", header, trailer)
	}
}

// Each caller has a message of its own, and may reuse that of its request.
func TestMessagesAreTheCallers(t *testing.T) {
	cc, _, _ := onClient(t, numbered(), grpccache.Options{})
	in, out := wrapperspb.String("1"), wrapperspb.String("left over")
	for range 2 {
		if err := cc.Invoke(t.Context(), get, in, out); err != nil || out.Value != "1#1" {
			t.Fatal(out, err)
		}
		out.Value = "changed"
	}
	empty := &users{handle: func(context.Context, string) (string, error) { return "", nil }}
	cc, _, _ = onClient(t, empty, grpccache.Options{})
	if err := cc.Invoke(t.Context(), get, in, out); err != nil || out.Value != "" {
		t.Errorf("an empty response: %v, %v", out, err)
	}
}

// token are the credentials of one call.
type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(t)}, nil
}

func (token) RequireTransportSecurity() bool { return false }

// Options of a call that are the caller's own.
func TestCallOptions(t *testing.T) {
	cc, _, _ := onClient(t, numbered(), grpccache.Options{})
	var ada credentials.PerRPCCredentials = token("ada")
	gets(t, t.Context(), cc, get, "1", "1#1", grpc.PerRPCCredentials(ada))
	gets(t, t.Context(), cc, get, "1", "1#2", grpc.PerRPCCredentials(ada))
	var header metadata.MD
	gets(t, t.Context(), cc, get, "1", "1#3", grpc.Header(&header), grpc.WaitForReady(true))
	gets(t, t.Context(), cc, get, "1", "1#3")
	if header != nil {
		t.Errorf("the header of a load that others may have made: %v", header)
	}
}

// Two servers share a Redis, and a value there that is no message is loaded anew.
func TestServersShareResponses(t *testing.T) {
	s := redistest.Start(t)
	u := numbered()
	var all []*grpc.ClientConn
	var key string
	for range 2 {
		i := newInterceptor(t, newCache(t, s, tiered.Options[[]byte]{}), grpccache.Options{})
		all = append(all, serve(t, u, []grpc.UnaryServerInterceptor{i.UnaryServer}))
		key, _ = i.Key(get, wrapperspb.String("1"), nil)
	}
	for _, cc := range all {
		gets(t, t.Context(), cc, get, "1", "1#1")
	}
	s.Do("SET", "tc:grpc:"+key, "\xff\xff no message", "EX", "60")
	for _, cc := range all {
		observe.Until(t, "the server notices the value", func() bool {
			got, err := call(t.Context(), cc, get, "1")
			return err == nil && got == "1#2"
		})
		gets(t, t.Context(), cc, get, "1", "1#2")
	}
}

func TestNew(t *testing.T) {
	c := newCache(t, nil, tiered.Options[[]byte]{})
	if _, err := grpccache.New(nil, grpccache.Options{}); err == nil {
		t.Error("no cache")
	}
	for want, o := range map[string]grpccache.Options{
		`Options.Vary has "Accept"`:               {Vary: []string{"Accept"}},
		`Options.Vary has ""`:                     {Vary: []string{""}},
		`Options.Vary has "tenant:"`:              {Vary: []string{"tenant:"}},
		`Options.Methods has "test.Users/Get"`:    {Methods: map[string]func(*tiered.Policy){"test.Users/Get": nil}},
		`Options.Methods has "/test.Users/Gone"`:  {Methods: map[string]func(*tiered.Policy){"/test.Users/Gone": nil}},
		`Options.Methods has "/test.Users/Watch"`: {Methods: map[string]func(*tiered.Policy){"/test.Users/Watch": nil}},
		`Options.Methods has "/test.Users"`:       {Methods: map[string]func(*tiered.Policy){"/test.Users": nil}},
		`Options.Methods has "/test.Users/Get"`:   {Methods: map[string]func(*tiered.Policy){get: func(p *tiered.Policy) { p.TTL = -1 }}},
	} {
		if _, err := grpccache.New(c, o); err == nil || !strings.HasPrefix(err.Error(), "grpccache: "+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
