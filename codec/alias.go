package codec

// Aliaser is a [Codec] whose values may refer to the bytes from which they were decoded, so that a large value is in memory once.
// [Raw] does, and so do codecs around it.
type Aliaser interface {
	Codec

	// UnmarshalAlias is Unmarshal of bytes that belong to v from then on: the caller doesn't use them again, and nobody changes them.
	// They may be a part of a longer array, behind whose end is something else.
	UnmarshalAlias(data []byte, v any) error
}

// UnmarshalAlias decodes data, which the caller doesn't use again and nobody changes, with c into v: as an [Aliaser] if c is one.
func UnmarshalAlias(c Codec, data []byte, v any) error {
	if a, ok := c.(Aliaser); ok {
		return a.UnmarshalAlias(data, v)
	}
	return c.Unmarshal(data, v)
}

// newDecodeBuffer returns a buffer with room for n bytes, which inner then decodes with UnmarshalAlias.
func newDecodeBuffer(inner Codec, n int) *buffer {
	if aliases(inner) {
		return &buffer{b: make([]byte, 0, n), kept: true}
	}
	buf := newBuffer()
	buf.grow(n)
	return buf
}

// aliases reports whether values that c decodes with UnmarshalAlias may refer to the bytes.
func aliases(c Codec) bool {
	if outer, ok := c.(*compressed); ok {
		return aliases(outer.inner)
	}
	_, ok := c.(Aliaser)
	return ok
}
