package codec

import (
	"bytes"
	"errors"
)

var errNull = errors.New("null is no value of the type")

// checkNull returns an error if v, which was decoded from null, isn't encoded as null. The decoders leave whatever v points
// to as it is, the zero value as a rule. That is right for a nil pointer, and for a type whose own methods write null; of a
// struct, a string or a number, null is no value.
func checkNull(c Appender, null string, v any) error {
	buf := newBuffer()
	defer buf.free()
	again, err := c.Append(buf.b, v)
	if err != nil {
		return err
	}
	buf.b = again
	if string(again) != null {
		return errNull
	}
	return nil
}

// isNull reports whether valid JSON is null.
func isNull(data []byte) bool {
	return len(data) >= len("null") && string(bytes.Trim(data, " \t\r\n")) == "null"
}
