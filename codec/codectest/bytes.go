package codectest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/codec"
)

// valuesStay fails if encoding a value changes it.
func valuesStay[T any](s *subject[T]) error {
	for i := range s.values {
		for _, e := range s.encoders() {
			before := print(&s.values[i])
			if _, err := s.encode(e, i); err != nil {
				return err
			}
			if after := print(&s.values[i]); after != before {
				return fmt.Errorf("%s changed value %d, which others may be reading, from %.500s to %.500s", e.name, i, before, after)
			}
		}
	}
	return nil
}

// roundTrip fails if a value isn't decoded to an equal one.
func roundTrip[T any](s *subject[T]) error {
	for i := range s.values {
		for _, e := range s.encoders() {
			data, err := s.encode(e, i)
			if err != nil {
				return err
			}
			for _, d := range s.decoders() {
				if err := s.isValue(d, data, i); err != nil {
					return fmt.Errorf("%s, then %s: %w", e.name, d.name, err)
				}
			}
		}
	}
	return nil
}

// appends fails if Append doesn't append.
func appends[T any](s *subject[T]) error {
	if _, ok := s.bound().(codec.Appender); !ok {
		return nil
	}
	const before = "what is there before"
	for i := range s.values {
		for _, room := range []int{0, 10, 1 << 16} {
			dst := append(make([]byte, 0, len(before)+room), before...)
			onto := encoder[T]{"Append", func(v *T) ([]byte, error) { return codec.Append(s.bound(), dst, v) }}
			data, err := s.encode(onto, i)
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(data, []byte(before)) || string(dst) != before {
				return fmt.Errorf("Append to %q, with room for %d bytes, changed these bytes or didn't append: %.200q", before, room, data)
			}
			if err := s.isValue(s.decoders()[0], data[len(before):], i); err != nil {
				return fmt.Errorf("Append with room for %d bytes, then Unmarshal of what it appended: %w", room, err)
			}
			invert(data)
			if err := s.isValueStill(s.encoders()[0], i); err != nil {
				return fmt.Errorf("after the caller changed what Append returned: %w", err)
			}
		}
	}
	return nil
}

// encodedBytes fails if bytes that Marshal returned are used for anything else.
func encodedBytes[T any](s *subject[T]) error {
	for i := range s.values {
		for _, e := range s.encoders() {
			data, err := s.encode(e, i)
			if err != nil {
				return err
			}
			kept := bytes.Clone(data)
			for j := range s.values {
				if _, err := s.encode(e, j); err != nil {
					return err
				}
			}
			if !bytes.Equal(data, kept) {
				return fmt.Errorf("the bytes that %s returned for value %d changed when others were encoded: %.200q, before %.200q", e.name, i, data, kept)
			}
			invert(data)
			if err := s.isValue(s.decoders()[0], kept, i); err != nil {
				return fmt.Errorf("the bytes that %s returned belong to the value: when the caller changed them, %w", e.name, err)
			}
			if err := s.isValueStill(e, i); err != nil {
				return fmt.Errorf("after the caller changed what %s returned: %w", e.name, err)
			}
		}
	}
	return nil
}

// decodedBytes fails if Unmarshal changes the bytes that it gets, or if the value changes with them.
func decodedBytes[T any](s *subject[T]) error {
	return s.eachDecoded(s.decoders()[0], func(array []byte, v T, i int) error {
		invert(array)
		if err := s.isEqual(v, i); err != nil {
			return fmt.Errorf("Unmarshal keeps a reference to the bytes: when the caller used them for others, %w", err)
		}
		return nil
	})
}

// aliased fails if UnmarshalAlias changes the bytes that it gets, or those behind them, or if something else changes them later.
func aliased[T any](s *subject[T]) error {
	for _, d := range s.decoders()[1:] {
		err := s.eachDecoded(d, func(array []byte, v T, i int) error {
			kept := bytes.Clone(array)
			all, err := s.encoded()
			if err != nil {
				return err
			}
			for j, data := range all {
				if err := s.isValue(d, data, j); err != nil {
					return err
				}
			}
			if !bytes.Equal(array, kept) {
				return errors.New("UnmarshalAlias changed the bytes of another value later")
			}
			if err := s.isEqual(v, i); err != nil {
				return fmt.Errorf("UnmarshalAlias, after others were decoded: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachDecoded decodes each value out of a longer array, of which nothing may change, and calls then.
func (s *subject[T]) eachDecoded(d decoder[T], then func(array []byte, v T, i int) error) error {
	const behind = "what is behind the value"
	all, err := s.encoded()
	if err != nil {
		return err
	}
	for i, data := range all {
		array := append(bytes.Clone(data), behind...)
		v, err := s.decode(d, array[:len(data)])
		if err != nil {
			return fmt.Errorf("%s of value %d, in a longer array: %w", d.name, i, err)
		}
		if !bytes.HasPrefix(array, data) || string(array[len(data):]) != behind {
			return fmt.Errorf("%s of value %d changed its bytes, or those behind them: %.200q, before %.200q", d.name, i, array, data)
		}
		if err := s.isEqual(v, i); err != nil {
			return fmt.Errorf("%s, in a longer array: %w", d.name, err)
		}
		if err := then(array, v, i); err != nil {
			return err
		}
	}
	return nil
}

// invert changes all bytes.
func invert(data []byte) {
	for i := range data {
		data[i] ^= 0xff
	}
}
