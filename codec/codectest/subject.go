package codectest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/tiercache/tiercache/codec"
)

// subject is the codec that is tested, with the values to test it with.
type subject[T any] struct {
	codec  codec.Codec
	values []T
	equal  func(a, b T) bool
}

// bound returns the codec of the key under which a cache would store the values.
func (s *subject[T]) bound() codec.Codec { return codec.Bind(s.codec, "codectest", "key") }

// encoder is a way to encode values, and decoder one to decode them.
type (
	encoder[T any] struct {
		name   string
		encode func(v *T) ([]byte, error)
	}
	decoder[T any] struct {
		name   string
		decode func(data []byte, v *T) error
	}
)

// encoders are Marshal and, of an Appender, Append.
func (s *subject[T]) encoders() []encoder[T] {
	all := []encoder[T]{{"Marshal", func(v *T) ([]byte, error) { return s.bound().Marshal(v) }}}
	if _, ok := s.bound().(codec.Appender); ok {
		all = append(all, encoder[T]{"Append", func(v *T) ([]byte, error) { return codec.Append(s.bound(), nil, v) }})
	}
	return all
}

// decoders are Unmarshal and, of an Aliaser, UnmarshalAlias.
func (s *subject[T]) decoders() []decoder[T] {
	all := []decoder[T]{{"Unmarshal", func(data []byte, v *T) error { return s.bound().Unmarshal(data, v) }}}
	if _, ok := s.bound().(codec.Aliaser); ok {
		all = append(all, decoder[T]{"UnmarshalAlias", func(data []byte, v *T) error { return codec.UnmarshalAlias(s.bound(), data, v) }})
	}
	return all
}

// panicError is the error for a codec that panicked.
type panicError struct {
	call  string
	data  []byte // was decoded
	value any    // the argument of panic
	stack []byte
}

func (p *panicError) Error() string {
	return fmt.Sprintf("%s panicked, bytes %.200q: %v\n%s", p.call, p.data, p.value, p.stack)
}

// catch must be deferred. It turns a panic into an error.
func catch(call string, data []byte, err *error) {
	if p := recover(); p != nil {
		*err = &panicError{call, data, p, debug.Stack()}
	}
}

// encode encodes value i.
func (s *subject[T]) encode(e encoder[T], i int) (data []byte, err error) {
	defer catch(e.name, nil, &err)
	if data, err = e.encode(&s.values[i]); err != nil {
		return nil, fmt.Errorf("%s of value %d, %s: %w", e.name, i, show(s.values[i]), err)
	}
	return data, nil
}

// encoded returns all values, encoded with Marshal.
func (s *subject[T]) encoded() ([][]byte, error) {
	all := make([][]byte, len(s.values))
	for i := range s.values {
		data, err := s.encode(s.encoders()[0], i)
		if err != nil {
			return nil, err
		}
		all[i] = bytes.Clone(data)
	}
	return all, nil
}

// decode decodes data. Only a panic is an error that is wrapped.
func (s *subject[T]) decode(d decoder[T], data []byte) (v T, err error) {
	defer catch(d.name, data, &err)
	err = d.decode(data, &v)
	return v, err
}

// isValue returns an error unless data decodes to value i. It decodes a copy, which no value shares.
func (s *subject[T]) isValue(d decoder[T], data []byte, i int) error {
	v, err := s.decode(d, bytes.Clone(data))
	if err != nil {
		return fmt.Errorf("%s of value %d, encoded as %.200q: %w", d.name, i, data, err)
	}
	return s.isEqual(v, i)
}

func (s *subject[T]) isEqual(v T, i int) error {
	if !s.equal(v, s.values[i]) {
		return fmt.Errorf("value %d is %s, want %s", i, show(v), show(s.values[i]))
	}
	return nil
}

// isValueStill returns an error unless value i can be encoded, and decoded to what it was.
func (s *subject[T]) isValueStill(e encoder[T], i int) error {
	data, err := s.encode(e, i)
	if err != nil {
		return err
	}
	return s.isValue(s.decoders()[0], data, i)
}

// print returns the exported fields of a value, so that one sees whether they change; "" if JSON has no form for it.
func print[T any](v *T) (form string) {
	defer func() { _ = recover() }()
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// show returns the beginning of what fmt prints for a value.
func show(v any) string { return fmt.Sprintf("%.500s", fmt.Sprintf("%+v", v)) }
