package codec

import (
	"fmt"
	"reflect"
)

// TypeError says that a codec can't encode, or decode into, values of a type, whatever the value. A cache that finds it with the
// zero value refuses the codec.
type TypeError struct {
	Codec string       // the codec's name
	Type  reflect.Type // the type it was given; nil if the value was a nil interface
	Err   error        // what it can't hold of it; nil: the type itself
}

// Error names the type and says what is accepted.
func (e *TypeError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("codec: %s can't hold %v: %v", e.Codec, e.Type, e.Err)
	}
	return fmt.Sprintf("codec: %s can't hold %v: it takes []byte, string and types made of them, "+
		"and decodes into a non-nil pointer to one", e.Codec, e.Type)
}

// Unwrap returns e.Err.
func (e *TypeError) Unwrap() error { return e.Err }
