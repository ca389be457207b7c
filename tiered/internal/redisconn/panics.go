package redisconn

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// errExited is the error of a call whose goroutine the client ended with runtime.Goexit.
var errExited = errors.New("the client ended the goroutine of the call")

// panicError is the error of a call in which the client panicked. It doesn't wrap the value of the panic: that may be an
// error which means something else here.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("the client panicked: %v", e.value) }

// CatchPanics returns f's error, or that of a panic in f. Every call of the client in a goroutine of this package goes through it:
// the client's hooks, its dialer and its other callbacks are code of the user, who could recover a panic in a goroutine of
// their own, but not in this one.
func (c *Caller) CatchPanics(f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if value := recover(); value != nil { // else the goroutine exits
			err = &panicError{value}
			c.logPanic(err)
		}
	}()
	err = f()
	returned = true
	return err
}

func (c *Caller) logPanic(err error) {
	if log, suppressed := c.panics.Allow(mono.Now()); log {
		attrs := WithSuppressed(suppressed, slog.Any("cause", err), slog.String("stack", string(debug.Stack())))
		c.log(slog.LevelError, "tiered: the client panicked", attrs...)
	}
}
