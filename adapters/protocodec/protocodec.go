// Package protocodec encodes Protocol Buffers messages for a cache.
package protocodec

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/tiercache/tiercache/codec"
)

// Proto is the [codec.Codec] of caches whose values are messages, such as tiered.Cache[*pb.User]. In Redis is the message in
// the binary format of Protocol Buffers, which programs in all languages can read. Its name is protobuf. Other types are a
// [codec.TypeError]. It is also a [codec.Appender].
//
// A nil message can't be encoded: a Loader that finds nothing returns tiered.ErrNotFound.
//
// Callers share the messages that a cache returns. Those who change them need Options.Clone: proto.CloneOf.
//
// By default a cache's values belong to the form of their type in Go, so that two releases whose message differs each keep values of their
// own. Since messages can be read by releases that know fewer or more fields, Options.Version may name one form for all: then both
// releases share their values, and fields that the older one doesn't know stay in the messages it reads.
var Proto codec.Codec = protobuf{}

type protobuf struct{}

var errNil = errors.New("a nil message can't be encoded: return tiered.ErrNotFound instead")

func (protobuf) Name() string { return "protobuf" }

func (p protobuf) Marshal(v any) ([]byte, error) { return p.Append(nil, v) }

func (protobuf) Append(dst []byte, v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if p := reflect.ValueOf(v); !ok && p.Kind() == reflect.Pointer && !p.IsNil() {
		m, ok = p.Elem().Interface().(proto.Message) // the cache's pointer to the value
	}
	switch {
	case !ok:
		return nil, typeError(v)
	case m == nil || !m.ProtoReflect().IsValid():
		return nil, fmt.Errorf("protocodec: %w", errNil)
	}
	dst, err := proto.MarshalOptions{}.MarshalAppend(dst, m)
	if err != nil {
		return nil, fmt.Errorf("protocodec: encode a %T: %w", m, err)
	}
	return dst, nil
}

// decoding makes whole messages: what is decoded later would refer to bytes that the caller may use again.
var decoding = proto.UnmarshalOptions{NoLazyDecoding: true}

func (protobuf) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if p := reflect.ValueOf(v); !ok && p.Kind() == reflect.Pointer && !p.IsNil() && p.Elem().Kind() == reflect.Pointer {
		value := reflect.New(p.Elem().Type().Elem()) // for the cache's pointer to a pointer
		if m, ok = value.Interface().(proto.Message); ok {
			p.Elem().Set(value)
		}
	}
	if !ok || !m.ProtoReflect().IsValid() {
		return typeError(v)
	}
	if err := decoding.Unmarshal(data, m); err != nil {
		return fmt.Errorf("protocodec: decode a %T: %w", m, err)
	}
	return nil
}

var errNoMessage = errors.New("it isn't a pointer to a message of google.golang.org/protobuf")

func typeError(v any) error {
	return &codec.TypeError{Codec: "protobuf", Type: reflect.TypeOf(v), Err: errNoMessage}
}
