package httpcache

import (
	"errors"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/codec"
)

var errNoResponse = errors.New("httpcache: not a stored response")

// responseCodec is codec.Msgpack for responses. Any program may have written the value in Redis: a response that can't be
// served is an error here, and so a miss.
type responseCodec struct{ codec.Codec }

// Append encodes a response without a copy of its body.
func (c responseCodec) Append(dst []byte, v any) ([]byte, error) {
	return codec.Append(c.Codec, dst, v)
}

func (c responseCodec) Unmarshal(data []byte, v any) error {
	if err := c.Codec.Unmarshal(data, v); err != nil {
		return err
	}
	r, ok := v.(**response)
	if !ok || !(*r).usable() {
		return errNoResponse
	}
	(*r).prepare()
	return nil
}

func (r *response) usable() bool {
	switch {
	case r == nil || r.Age < 0 || r.Lifetime < 0 || r.StaleWhileRevalidate < 0 || r.StaleIfError < 0 || len(r.Header)%2 != 0:
		return false
	case r.Index != nil:
		return r.Index.usable()
	case r.Alias != "":
		return true
	case r.Status < 200 || r.Status > 599 || r.Status == http.StatusNotModified:
		return false
	case (r.Status == http.StatusPartialContent) != (r.Size > 0):
		return false
	case r.Size > 0 && (r.First < 0 || r.First > r.Size || int64(len(r.Body)) > r.Size-r.First):
		return false
	}
	storable := rfc9111.Stored(nil, rfc9111.Shared)
	for i := 0; i < len(r.Header); i += 2 {
		name := r.Header[i]
		if name != http.CanonicalHeaderKey(name) || !storable(name) || !validValue(r.Header[i+1]) {
			return false
		}
	}
	return true
}

// validValue reports whether a field's value contains nothing that would end the field.
func validValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
