package httpcache

import (
	"errors"
	"net/http"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/codec"
)

var errNoResponse = errors.New("httpcache: not a stored response")

// responseCodec is codec.Msgpack for responses. What is in Redis may have been put there by anybody: what can't be
// served is an error here, which makes it a miss.
type responseCodec struct{ codec.Codec }

func (c responseCodec) Unmarshal(data []byte, v any) error {
	if err := c.Codec.Unmarshal(data, v); err != nil {
		return err
	}
	if r, ok := v.(**response); !ok || !(*r).usable() {
		return errNoResponse
	}
	return nil
}

func (r *response) usable() bool {
	if r == nil || r.Status != http.StatusOK || len(r.Header)%2 != 0 || r.Age < 0 || !r.fresh(0) {
		return false
	}
	storable := rfc9111.Stored(nil)
	for i := 0; i < len(r.Header); i += 2 {
		name := r.Header[i]
		if name != http.CanonicalHeaderKey(name) || !storable(name) || name == "Set-Cookie" {
			return false
		}
	}
	return true
}
