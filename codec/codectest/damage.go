package codectest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/metrics"
)

// empty fails if no bytes at all are decoded to a value that isn't encoded as no bytes.
func empty[T any](s *subject[T]) error {
	for _, d := range s.decoders() {
		for _, data := range [][]byte{{}, nil} {
			v, err := s.decodeAny(d, data)
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			one := subject[T]{codec: s.codec, values: []T{*v}, equal: s.equal}
			if again, err := one.encode(one.encoders()[0], 0); err != nil || len(again) > 0 {
				return fmt.Errorf("%s of no bytes gave %s, which is encoded as %.200q (error %s): want an error", d.name, show(*v), again, show(err))
			}
		}
	}
	return nil
}

// truncated fails if the codec doesn't notice that bytes are missing. The first bytes of a value may be another value, such as
// those of a text. But if most beginnings are decoded to the same value as the one before, then the codec ignores errors.
func truncated[T any](s *subject[T]) error {
	all, err := s.encoded()
	if err != nil {
		return err
	}
	for _, d := range s.decoders() {
		decoded, same := 0, 0
		for i, data := range all {
			var last *T
			for _, n := range positions(len(data)) {
				v, err := s.decodeAny(d, data[:n])
				if err != nil {
					return err
				}
				decoded++
				if v != nil && last != nil && s.equal(*v, *last) {
					same++
				}
				last = v
			}
			if err := s.isValue(d, data, i); err != nil {
				return fmt.Errorf("after truncated bytes: %w", err)
			}
		}
		if same > decoded/2 {
			return fmt.Errorf("%s returns the same value for %d of %d truncated ones as for one that is a byte shorter: want errors", d.name, same, decoded)
		}
	}
	return nil
}

// bytesBehind fails if the codec doesn't notice that there is something behind a value.
func bytesBehind[T any](s *subject[T]) error {
	all, err := s.encoded()
	if err != nil {
		return err
	}
	for _, d := range s.decoders() {
		for i, data := range all {
			for _, behind := range [][]byte{{0}, {0xff}, bytes.Repeat([]byte{0}, 8), bytes.Repeat([]byte{0xff}, 8), {0, 0}, {0xff, 0xff}} {
				v, err := s.decodeAny(d, append(bytes.Clone(data), behind...))
				if err != nil {
					return err
				}
				if v != nil && s.equal(*v, s.values[i]) {
					return fmt.Errorf("%s ignores the bytes %#x behind value %d: want an error", d.name, behind, i)
				}
			}
		}
	}
	return nil
}

// damaged fails if the codec panics on bytes of which some are wrong or all are random, or takes memory for them.
func damaged[T any](s *subject[T]) error {
	all, err := s.encoded()
	if err != nil {
		return err
	}
	for _, d := range s.decoders() {
		for i, data := range all {
			for _, n := range positions(len(data)) {
				for _, b := range []byte{data[n] ^ 1, 0, 0xff} {
					wrong := bytes.Clone(data)
					wrong[n] = b
					if _, err := s.decodeAny(d, wrong); err != nil {
						return err
					}
				}
				if err := s.isValue(d, data, i); err != nil {
					return fmt.Errorf("after damaged bytes: %w", err)
				}
			}
			if len(data) > 0 {
				if _, err := s.decodeAny(d, bytes.Repeat(data[:1], 1<<16)); err != nil { // as if there were no end of nesting
					return err
				}
			}
		}
		random := rand.NewChaCha8([32]byte{1})
		for n := range 100 {
			data := make([]byte, n)
			_, _ = random.Read(data) // never fails
			if _, err := s.decodeAny(d, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeAny decodes bytes that may be wrong: v is nil if the codec returned an error. It fails if the codec panics, changes the bytes, or
// takes much more memory than they have.
func (s *subject[T]) decodeAny(d decoder[T], data []byte) (v *T, err error) {
	limit := uint64(memoryBase + memoryRatio*len(data))
	for range 3 { // other goroutines take memory, too
		given, before := bytes.Clone(data), allocated()
		value, err := s.decode(d, given)
		used := allocated() - before
		if _, ok := errors.AsType[*panicError](err); ok {
			return nil, err
		}
		if !bytes.Equal(given, data) {
			return nil, fmt.Errorf("%s of wrong bytes changed them: %.200q, before %.200q", d.name, given, data)
		}
		if used <= limit {
			if err != nil {
				return nil, nil
			}
			return &value, nil
		}
	}
	return nil, fmt.Errorf("%s takes more than %d MiB of memory for %d bytes: %.200q", d.name, limit>>20, len(data), data)
}

// The memory that decoding n bytes may take is memoryBase + memoryRatio * n. A decoder's tables, which are used again, and values that were
// compressed well fit in it.
const (
	memoryBase  = 32 << 20
	memoryRatio = 1000
)

// allocated returns how many bytes of memory the process has allocated since it began.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// positions returns the offsets into n bytes to look at: all of the first ones, and some of the others.
func positions(n int) []int {
	const each, others = 64, 16
	var all []int
	for i := 0; i < n; i++ {
		if i >= each {
			i = min(i+(n-each)/others, n-1)
		}
		all = append(all, i)
	}
	return all
}
