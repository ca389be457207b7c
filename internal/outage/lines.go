//go:build !windows

package outage

import (
	"context"
	"log/slog"
	"sync"
)

// lines counts the lines of one logger, and keeps the first.
type lines struct {
	name string

	mu    sync.Mutex
	n     int
	first []string
}

// logger returns a new one that counts.
func (p *process) logger(name string) *slog.Logger {
	l := &lines{name: name}
	p.lines = append(p.lines, l)
	return slog.New(l)
}

// Enabled implements slog.Handler.
func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	const some = 3
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	if len(l.first) < some {
		l.first = append(l.first, r.Message)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *lines) WithGroup(string) slog.Handler { return l }

// count returns how many lines there were.
func (l *lines) count() (n int, first []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n, l.first
}
