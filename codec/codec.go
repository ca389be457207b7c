package codec

// Codec encodes and decodes values. A decoded value must be equal to the encoded one: Unmarshal gets the bytes that
// Marshal returned in this process or another. Implementations must be safe for concurrent use. codectest.Run tests them.
type Codec interface {
	// Name identifies the format. It is stored with each value: it must not change, and two formats must not share it.
	Name() string

	// Marshal encodes v. A cache passes a non-nil pointer to the value, as it does to Unmarshal, so that methods with pointer
	// receivers are called: a *T is encoded as the T that it points to. Marshal must not change the value, which other goroutines may be
	// reading. It returns a [*TypeError] for a type that can't be encoded. The caller owns the bytes: the codec must keep no
	// reference to them.
	Marshal(v any) ([]byte, error)

	// Unmarshal decodes data into v, a non-nil pointer to a zero value. It must accept any bytes, since they may come
	// from another program: anything but exactly one value of v's type is an error, never a panic, and never takes much more memory
	// than data itself. (A cache treats a panic as an error of that one value.) It must neither change data nor keep a reference into
	// it, because callers reuse the buffer. After an error v is undefined.
	Unmarshal(data []byte, v any) error
}

// Appender is a [Codec] that can append to a slice, so that its caller needs no copy. The codecs of this package implement it;
// others needn't.
type Appender interface {
	// Append appends the result of Marshal to dst, in place if dst has the capacity, and returns the longer slice. It must neither
	// read nor change the bytes in dst, and keep no reference to it. After an error the result is undefined.
	Append(dst []byte, v any) ([]byte, error)
}

// Binder is a [Codec] whose encoding depends on where a value is stored, such as that of [Sealed]. Of such a codec a cache calls
// Bind for each value it encodes or decodes.
type Binder interface {
	Codec

	// Bind returns the codec of the values under a key in the caches of a name. It is called often, so it must be cheap.
	Bind(cache, key string) Codec
}

// Bind returns c for a key of a cache: its Bind's result if it is a [Binder], and else c itself.
func Bind(c Codec, cache, key string) Codec {
	if b, ok := c.(Binder); ok {
		return b.Bind(cache, key)
	}
	return c
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
