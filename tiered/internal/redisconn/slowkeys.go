package redisconn

import (
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

const (
	// largeValue is the length from which on a value is read alone: others would wait longer for it than sharing a command
	// saves.
	largeValue    = 64 << 10
	slowWhenLarge = time.Minute
	// slowWhenLate is how long the keys of a batch that was late are read alone: one of them may be the cause each time.
	slowWhenLate = 10 * time.Second
	maxSlowKeys  = 4096
)

// slowKeys are the keys that are read alone for a while. All callers of a batch wait until its last value is there,
// so a large value takes time from all of them: before such keys were read alone, reads of large values took twice as
// long. Keys that are read alone share nothing but the connections of the client. A value's size is known when it was read. Which key
// made a batch late is not, so all its keys are kept apart, for a shorter time. The number of keys is limited; beyond it any one
// is forgotten. The batcher's lock guards them.
type slowKeys struct {
	until map[string]mono.Instant
}

func (s *slowKeys) has(key string, at mono.Instant) bool {
	if len(s.until) == 0 {
		return false
	}
	until, is := s.until[key]
	if is && at >= until {
		delete(s.until, key)
	}
	return is && at < until
}

func (s *slowKeys) add(key string, at mono.Instant, stay time.Duration) {
	if s.until == nil {
		s.until = make(map[string]mono.Instant)
	}
	if _, is := s.until[key]; !is && len(s.until) >= maxSlowKeys {
		for other := range s.until { // any
			delete(s.until, other)
			break
		}
	}
	s.until[key] = max(s.until[key], at.Add(stay))
}
