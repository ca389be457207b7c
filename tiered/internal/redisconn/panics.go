package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// errExited is the error of a call whose goroutine was ended by the client (runtime.Goexit).
var errExited = errors.New("the client ended the goroutine of the call")

// clientPanic is the error of a call in which the client panicked. It doesn't wrap what the client panicked with: that may be
// an error which means something else here.
type clientPanic struct{ value any }

func (e *clientPanic) Error() string { return fmt.Sprintf("the client panicked: %v", e.value) }

// panics limits what the log tells of them.
type panics struct {
	mu    sync.Mutex
	limit LogThrottle
}

// Guard returns f's error, and that of a panic in it. Every call of the client in a goroutine of ours goes through it: its
// hooks, its dialer and its other callbacks are others' code, whose panics a caller could recover, but not here.
func (r *Conn) Guard(f func() error) (err error) {
	over := false
	defer func() {
		if over {
			return
		}
		if thrown := recover(); thrown != nil {
			err = &clientPanic{thrown}
			r.tellPanic(err)
		}
	}()
	err = f()
	over = true
	return err
}

// tellPanic logs the stack. Each panic is an outage by itself, over at once.
func (r *Conn) tellPanic(err error) {
	r.panics.mu.Lock()
	tell, suppressed := r.panics.limit.Begins(mono.Now())
	r.panics.limit.Ends()
	r.panics.mu.Unlock()
	if !tell {
		return
	}
	attrs := []slog.Attr{slog.Any("cause", err), slog.String("stack", string(debug.Stack()))}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	r.Logger.LogAttrs(context.Background(), slog.LevelError, "tiered: the client panicked", attrs...)
}
