package codec

import (
	"bytes"
	"errors"
)

var errNull = errors.New("null is not a value of the type")

// checkNull returns an error if v, which was decoded from null, isn't encoded as null. The decoders don't change the value to
// which v points, which usually is the zero value. That is right for a nil pointer, and for a type whose own methods write null, but
// null isn't a value of a struct, a string or a number.
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
