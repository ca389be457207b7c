package codectest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tiercache/tiercache/codec"
)

// maxName is the longest name of a codec that a cache accepts.
const maxName = 128

// name fails if the codec's name isn't one that can be stored with each value.
func name[T any](s *subject[T]) error {
	first := s.codec.Name()
	if len(first) == 0 || len(first) > maxName {
		return fmt.Errorf("the name is %q: want 1 to %d bytes", first, maxName)
	}
	for range 3 {
		for _, c := range []codec.Codec{s.codec, s.bound()} {
			if again := c.Name(); again != first {
				return fmt.Errorf("the name was %q and is %q: it is stored with each value, and must not change", first, again)
			}
		}
		if _, err := s.encoded(); err != nil {
			return err
		}
	}
	return nil
}

// wrongType fails if the codec doesn't say that it can't encode a type. Nothing can be made of a channel.
func wrongType[T any](s *subject[T]) (err error) {
	defer catch("Marshal of a channel", nil, &err)
	c := s.bound()
	data, err := c.Marshal(new(chan int))
	if _, ok := errors.AsType[*codec.TypeError](err); !ok {
		return fmt.Errorf("Marshal of a channel gave %.200q, error %s: want a *codec.TypeError, by which tiered.New finds that a codec can't hold a type", data, show(err))
	}
	return nil
}

// concurrent fails if the codec can't be used by many goroutines at once. They share the values, as the callers of a cache do.
func concurrent[T any](s *subject[T]) error {
	const goroutines, rounds = 4, 10
	var wg sync.WaitGroup
	errs := make([]error, goroutines)
	for g := range errs {
		wg.Go(func() {
			for range rounds {
				if errs[g] = roundTrip(s); errs[g] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("by %d goroutines at once: %w", goroutines, err)
		}
	}
	return nil
}
