package codec

import (
	"fmt"
	"runtime/debug"
)

// PanicError is the error for a panic of a value's method or of a codec. [JSON] and [Msgpack] return it, and caches
// turn a panic of any codec into it.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // of the goroutine that panicked
}

// Error describes the panic, with its stack.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", p.Value, p.Stack) }

// Unwrap returns the argument of panic if it is an error, else nil.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// catch must be deferred. It turns a panic into an error that says what was being done.
func catch(doing string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("codec: %s: %w", doing, &PanicError{Value: p, Stack: debug.Stack()})
	}
}
