package codec

import (
	"fmt"
	"reflect"
)

// TypeError says that a codec can't encode, or decode into, values of a type. [Raw] returns it.
type TypeError struct {
	Codec string       // the codec's name
	Type  reflect.Type // the type it was given; nil if the value was a nil interface
}

// Error names the type and says what is accepted.
func (e *TypeError) Error() string {
	return fmt.Sprintf("codec: %s can't hold %v: it takes []byte, string and types made of them, "+
		"and decodes into a non-nil pointer to one", e.Codec, e.Type)
}
