//go:build !windows

package outage

import (
	"context"
	"log/slog"
	"sync"
)

// lineCounter counts the lines of one logger, and keeps the first few.
type lineCounter struct {
	name string

	mu    sync.Mutex
	n     int
	first []string
}

// Enabled implements slog.Handler.
func (l *lineCounter) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *lineCounter) Handle(_ context.Context, r slog.Record) error {
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
func (l *lineCounter) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l *lineCounter) WithGroup(string) slog.Handler { return l }

// count returns the number of lines, and the first few.
func (l *lineCounter) count() (n int, first []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n, l.first
}
