package codec

// Codec encodes values and decodes them. What is decoded is to be equal to what was encoded, for Unmarshal gets the bytes that
// Marshal returned in this process or another. Implementations are safe for concurrent use.
type Codec interface {
	// Name identifies the format. It is stored with each value: it must not change, and two formats must not share it.
	Name() string

	// Marshal encodes v. A cache gives it a non-nil pointer to the value, as it does Unmarshal, so that methods with pointer
	// receivers are called: a *T is encoded as the T that it points to. Marshal doesn't change the value, which others may be
	// reading. A type that can't be encoded is a [*TypeError]. The caller owns the bytes: the codec keeps no reference to them.
	Marshal(v any) ([]byte, error)

	// Unmarshal decodes data into v, a non-nil pointer to a zero value. It takes any bytes, for what it is given may come
	// from another program: what isn't exactly one value of v's type is an error, never a panic, and never costs more memory
	// than data warrants. (A cache takes a panic for an error of that one value.) It neither changes data nor keeps a reference into it, because callers reuse the buffer.
	// After an error v holds nothing of use.
	Unmarshal(data []byte, v any) error
}

// Appender is a [Codec] that can encode to the end of a slice, so that its caller needs no copy. Those of this package can;
// yours needn't.
type Appender interface {
	// Append appends what Marshal returns to dst, in place if there is room, and returns the longer slice. It neither
	// reads nor changes what is in dst, and keeps no reference to it. After an error it returns nothing of use.
	Append(dst []byte, v any) ([]byte, error)
}

// Append encodes v with c to the end of dst, as an [Appender] if c is one.
func Append(c Codec, dst []byte, v any) ([]byte, error) {
	if a, ok := c.(Appender); ok {
		return a.Append(dst, v)
	}
	data, err := c.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(dst, data...), nil
}
