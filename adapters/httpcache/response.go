package httpcache

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// response is what is stored. Those who read it share it: it isn't changed once it is stored.
type response struct {
	Status   int           `msgpack:"s"`
	Header   []string      `msgpack:"h"` // name, value, name, value...; the lines of a name follow each other
	Body     []byte        `msgpack:"b"`
	Age      time.Duration `msgpack:"a"` // when it was stored
	Lifetime time.Duration `msgpack:"l"` // fresh up to this age
}

// overhead is what a response costs beside its strings and its body, roughly.
const overhead = 512

// fresh is the one place that says whether a response may still be served, d after it was stored. Neither Age nor Lifetime is
// negative, so that nothing here overflows.
func (r *response) fresh(d time.Duration) bool { return d < r.Lifetime-r.Age }

func (r *response) cost() int64 {
	n := overhead + len(r.Body) + 16*len(r.Header)
	for _, s := range r.Header {
		n += len(s)
	}
	return int64(n)
}

// get returns the first line of a field, or "".
func (r *response) get(name string) string {
	for i := 0; i+1 < len(r.Header); i += 2 {
		if r.Header[i] == name {
			return r.Header[i+1]
		}
	}
	return ""
}

func (r *response) add(name string, value string) { r.Header = append(r.Header, name, value) }

// addFields adds what is stored of a response's header. Fields that were there, unchanged, before the handler ran are
// somebody else's, who sets them for each request: a request ID must not be replayed to the next client. Where the handler
// removed such a field, or added to it, what it made can't be told from what somebody made for this request: the answer is
// false, and the response can't be stored.
func (r *response) addFields(before, header http.Header) bool {
	for name, old := range before {
		now := header[name]
		if len(now) == 0 && len(old) > 0 || len(now) > len(old) && len(old) > 0 && slices.Equal(now[:len(old)], old) {
			return false
		}
	}
	stored := rfc9111.Stored(header)
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := header[name]
		if old, ok := before[name]; !stored(name) || ok && slices.Equal(old, values) {
			continue
		}
		for _, value := range values {
			r.add(name, value)
		}
	}
	return true
}

// lacking is what a response lacks that is made of its body.
type lacking struct{ contentType, etag bool }

// lacks says what is to be made for a response with this header.
func lacks(header http.Header) lacking {
	_, typed := header["Content-Type"]
	return lacking{
		contentType: !typed && len(header["Content-Encoding"]) == 0, // as net/http does it
		etag:        len(header["Etag"]) == 0,
	}
}

// complete adds what the response lacks, when its body is whole.
func (r *response) complete(lacks lacking) {
	if lacks.contentType && len(r.Body) > 0 {
		r.add("Content-Type", http.DetectContentType(r.Body))
	}
	if lacks.etag {
		r.add("Etag", makeETag(r.Body))
	}
}

// makeETag returns a strong entity tag: 128 bits of a digest of the body.
func makeETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

func (r *response) validators() rfc9111.Validators {
	return rfc9111.Validators{ETag: r.get("Etag"), LastModified: r.get("Last-Modified"), Date: r.get("Date")}
}

// exact returns b without much spare capacity, which would count for nothing and be kept all the same.
func exact(b []byte) []byte {
	if cap(b) <= len(b)+len(b)/8 {
		return b
	}
	c := make([]byte, len(b))
	copy(c, b)
	return c
}

// contentLength returns the value of the Content-Length field, and whether it can be relied on; -1: there is none.
func contentLength(header http.Header) (n int64, ok bool) {
	lines := header["Content-Length"]
	if len(lines) == 0 {
		return -1, true
	}
	u, err := strconv.ParseUint(strings.TrimSpace(lines[0]), 10, 63)
	return int64(u), err == nil && len(lines) == 1
}
