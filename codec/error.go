package codec

import (
	"fmt"
	"reflect"
)

// TypeError says that a codec can't encode any value of a type, or decode into it. A cache tries its codec with the zero value,
// and can't be made if that returns this error.
type TypeError struct {
	Codec string       // the codec's name
	Type  reflect.Type // the type it was given; nil if the value was a nil interface
	Err   error        // the cause; nil: the type itself isn't supported
}

// Error names the type and the accepted types.
func (e *TypeError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("codec: %s can't hold %v: %v", e.Codec, e.Type, e.Err)
	}
	return fmt.Sprintf("codec: %s can't hold %v: it takes []byte, string and types made of them, "+
		"and decodes into a non-nil pointer to one", e.Codec, e.Type)
}

// Unwrap returns e.Err.
func (e *TypeError) Unwrap() error { return e.Err }
