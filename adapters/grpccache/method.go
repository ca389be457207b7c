package grpccache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tiercache/tiercache/tiered"
)

// method is a method whose responses are cached.
type method struct {
	cache    *tiered.Cache[[]byte] // with the method's policy
	response protoreflect.MessageType
}

// methods finds the methods that are cached.
type methods struct {
	cache *tiered.Cache[[]byte]
	known sync.Map // of *method, by full name: those that were called; nil: it isn't cached
}

// find returns the method; nil: it isn't cached.
func (m *methods) find(name string) *method {
	if known, ok := m.known.Load(name); ok {
		return known.(*method)
	}
	d, response := describe(name)
	if d == nil { // it isn't remembered, since clients may send any number of names
		return nil
	}
	var found *method
	options, _ := d.Options().(*descriptorpb.MethodOptions)
	if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
		found = &method{m.cache, response}
	}
	m.known.Store(name, found)
	return found
}

// choose makes the method a cached one, with the cache's policy as edit changes it. It returns an error if there is no such method.
func (m *methods) choose(name string, edit func(*tiered.Policy)) error {
	d, response := describe(name)
	if d == nil {
		return fmt.Errorf("grpccache: Options.Methods has %q: want a unary method of this program, such as \"/users.v1.Users/Get\"", name)
	}
	cache := m.cache
	if edit != nil {
		cache = cache.With(edit)
		if _, err := cache.GetMany(context.Background()); err != nil {
			return fmt.Errorf("grpccache: Options.Methods has %q: %w", name, err)
		}
	}
	m.known.Store(name, &method{cache, response})
	return nil
}

// describe returns the descriptor of a unary method, and the type of its responses, from the program's registry of Protocol
// Buffers; nil: there is none.
func describe(name string) (protoreflect.MethodDescriptor, protoreflect.MessageType) {
	service, short, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok || !strings.HasPrefix(name, "/") {
		return nil, nil
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service).Append(protoreflect.Name(short)))
	d, ok := found.(protoreflect.MethodDescriptor)
	if err != nil || !ok || d.IsStreamingClient() || d.IsStreamingServer() {
		return nil, nil
	}
	response, err := protoregistry.GlobalTypes.FindMessageByName(d.Output().FullName())
	if err != nil {
		return nil, nil
	}
	return d, response
}

// call is a call whose response is cached.
type call struct {
	*method
	key     string
	request []byte // encoded
}

// get sets out to the response in the cache, or to the one that load returns. direct means that the cache is closed.
func (c *call) get(ctx context.Context, out proto.Message, load func(context.Context) (proto.Message, error)) (direct bool, err error) {
	loader := func(ctx context.Context, e *tiered.Entry[[]byte]) ([]byte, error) {
		said := new(response)
		message, err := load(context.WithValue(ctx, responseKey{}, said))
		if err != nil {
			return nil, err
		}
		said.apply(e)
		return proto.Marshal(message)
	}
	encoded, err := c.cache.GetOrLoad(ctx, c.key, loader)
	if err == nil && proto.Unmarshal(encoded, out) != nil { // another program may have written it
		encoded, err = c.cache.Refresh(ctx, c.key, loader)
		if err == nil {
			err = proto.Unmarshal(encoded, out)
		}
	}
	if errors.Is(err, tiered.ErrClosed) {
		return true, nil
	}
	return false, statusOf(err)
}
