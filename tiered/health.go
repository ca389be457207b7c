package tiered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

var (
	errStarting = errors.New("not connected yet")
	errLapsed   = errors.New("Redis doesn't answer in time")
)

// health is whether invalidations arrive, as far as people are told.
type health struct {
	mu    sync.Mutex
	name  string // of the server in the client's options
	peer  string // the address of the last connection
	well  bool
	since instant // of not being well
	cause error   // why that is so, or what may become the cause; nil: nothing known
	told  told    // what the log says since then
}

// told grows while a stream is down.
type told int

const (
	toldNothing told = iota
	toldDown
	toldRefused // it won't heal by itself
)

// suspect notes what may be the cause, should the proof lapse.
func (h *health) suspect(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cause = cause
}

func (h *health) connected(peer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peer = peer
}

// where returns the server's address: that of the connection if it is for others to say where the server is (Sentinel).
func (h *health) where() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, _, err := net.SplitHostPort(h.name); err != nil && h.peer != "" {
		return h.peer
	}
	return h.name
}

// downSince returns since when the stream is down, if it is down at the instant.
func (h *health) downSince(at instant) instant {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.well {
		return at
	}
	return h.since
}

// up tells that invalidations arrive.
func (s *stream) up() {
	h := &s.health
	h.mu.Lock()
	var lasted time.Duration
	was := h.told
	if !h.well {
		lasted = now().since(h.since)
	}
	h.well, h.cause, h.told = true, nil, toldNothing
	h.mu.Unlock()
	if was != toldNothing {
		s.log(slog.LevelInfo, "tiered: invalidations arrive again", slog.Duration("downtime", lasted))
	}
	s.settle(nil)
}

// down tells that since the instant no invalidations arrive. The log says so once, and once more if it turns out to be
// for good.
func (s *stream) down(since instant, cause error) {
	h := &s.health
	h.mu.Lock()
	if h.well {
		h.well, h.since = false, since
	}
	if cause != nil {
		h.cause = cause
	}
	if h.cause == nil {
		h.cause = errLapsed
	}
	var refused *refusal
	tell, was := toldDown, h.told
	if errors.As(h.cause, &refused) {
		tell = toldRefused
	}
	cause = h.cause
	returned := s.settle(cause) && tell == toldRefused // NewRedis says it
	if !returned {
		h.told = max(was, tell)
	}
	h.mu.Unlock()
	switch {
	case returned || tell <= was:
	case tell == toldRefused:
		s.log(slog.LevelError, "tiered: invalidations can't arrive", slog.Any("cause", cause))
	default:
		s.log(slog.LevelWarn, "tiered: no invalidations", slog.Any("cause", cause))
	}
}

// lapse notices that the proof doesn't hold any more though the connection is there, or that there never was one.
func (s *stream) lapse() {
	p := s.proof()
	if p.holds(now()) {
		return
	}
	h := &s.health
	h.mu.Lock()
	well, since := h.well, h.since
	h.mu.Unlock()
	if well {
		s.down(max(instant(p.until.Load()), since), nil)
	} else if now().since(since) > s.redis.maxAge() {
		s.down(since, nil)
	}
}

// settle makes the first outcome known. It answers whether this was it.
func (s *stream) settle(err error) (first bool) {
	s.settling.Do(func() {
		errors.As(err, &s.refused)
		close(s.settled)
		first = true
	})
	return first
}

func (s *stream) status() error {
	p := s.proof()
	at := now()
	if s.deaf || p.holds(at) {
		return nil
	}
	h := &s.health
	h.mu.Lock()
	since, cause := h.since, h.cause
	if h.well { // nobody has noticed yet
		since = max(instant(p.until.Load()), since)
	}
	h.mu.Unlock()
	if cause == nil {
		cause = errLapsed
		if s.life.Load() == nil {
			cause = errStarting
		}
	}
	return fmt.Errorf("tiered: redis %s: no invalidations for %v: %w", s.health.where(), at.since(since).Round(time.Millisecond), cause)
}

func (s *stream) log(level slog.Level, message string, attr slog.Attr) {
	s.redis.options.Logger.LogAttrs(context.Background(), level, message, slog.String("addr", s.health.where()), attr)
}
