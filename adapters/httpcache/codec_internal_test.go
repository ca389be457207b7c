package httpcache

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/codec/codectest"
)

// Any bytes in Redis are a response that can be served, or an error.
func TestResponseCodec(t *testing.T) {
	page := &response{Status: http.StatusOK, Header: []string{"Content-Type", "text/plain"}, Body: []byte("a page"), Age: time.Second, Lifetime: time.Minute}
	part := &response{Status: http.StatusPartialContent, Header: page.Header, Body: []byte("pa"), First: 2, Size: 6, Flags: shared | explicit, Varies: []string{"Accept"}}
	alias := &response{Lifetime: time.Minute, Alias: "another key"}
	responses := []*response{page, part, alias}
	for _, r := range responses {
		r.prepare()
	}
	codectest.Run(t, responseCodec{codec.Msgpack}, codectest.Options[*response]{
		Values: responses,
		Equal: func(decoded, encoded *response) bool {
			d, e := *decoded, *encoded
			d.precomputed, e.precomputed = nil, nil
			return reflect.DeepEqual(d, e)
		},
	})
}
