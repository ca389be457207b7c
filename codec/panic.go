package codec

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic of a method of a value, or of a codec, as an error. [JSON] and [Msgpack] return it, and caches
// make one of a panic of any codec.
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

// catch is deferred. It makes an error of a panic, which says what was being done.
func catch(doing string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("codec: %s: %w", doing, &PanicError{Value: p, Stack: debug.Stack()})
	}
}
