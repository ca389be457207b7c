package codec

// Codec encodes values and decodes them. Implementations are safe for concurrent use.
type Codec interface {
	// Name identifies the format. It is stored with each value: it must not change, and two formats must not share it.
	Name() string

	// Marshal encodes v. The caller owns the bytes: the codec keeps no reference to them.
	Marshal(v any) ([]byte, error)

	// Unmarshal decodes data into v, a non-nil pointer to a zero value. It takes any bytes, for what it is given may come
	// from another program: what isn't exactly one value of v's type is an error, never a panic, and never costs more memory
	// than data warrants. It neither changes data nor keeps a reference into it, because callers reuse the buffer.
	// After an error v holds nothing of use.
	Unmarshal(data []byte, v any) error
}
