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

// slowKeys are the keys that are read alone for a while.
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
