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

// response is a stored value: a response, or an index of the fields by which the responses to one URL vary. Readers
// share it: it must not be changed after it was stored.
type response struct {
	Status int           `msgpack:"s"`
	Header []string      `msgpack:"h"` // name, value, name, value...; the lines of a name are consecutive
	Body   []byte        `msgpack:"b"`
	Age    time.Duration `msgpack:"a"` // when it was stored

	// Its terms. For an index: how long it is kept.
	Lifetime             time.Duration `msgpack:"l"`
	StaleWhileRevalidate time.Duration `msgpack:"w,omitempty"` // stale-while-revalidate
	StaleIfError         time.Duration `msgpack:"e,omitempty"` // stale-if-error
	Flags                flags         `msgpack:"f,omitempty"`

	// Of a part (206): its offset, and the length of the whole. Size 0: it is the whole.
	First int64 `msgpack:"p,omitempty"`
	Size  int64 `msgpack:"n,omitempty"`

	Index *index `msgpack:"i,omitempty"` // it is an index
	Alias string `msgpack:"k,omitempty"` // the response is under this key

	// Of a variant whose Vary has other names than its key: the key that it would have by its own names. It may only be served
	// to requests for which that is the same.
	Select string `msgpack:"v,omitempty"`

	// Set by handlers around the cache when it was stored:
	Varies []string `msgpack:"y,omitempty"` // the names in their Vary
	Around string   `msgpack:"o,omitempty"` // their Cache-Control

	precomputed *precomputed // nil: it isn't stored, or not served itself
}

// flags has the boolean terms.
type flags uint8

const (
	noCache flags = 1 << iota
	mustRevalidate
	shared
	explicit
	madeETag // the cache made the Etag: the handler doesn't know it
)

func (f *flags) set(flag flags, on bool) {
	if on {
		*f |= flag
	}
}

// overhead is roughly the cost of a response in addition to its strings and its body.
const overhead = 512

func (r *response) setTerms(t rfc9111.Terms) {
	r.Lifetime, r.StaleWhileRevalidate, r.StaleIfError, r.Flags = t.Lifetime, t.StaleWhileRevalidate, t.StaleIfError, r.Flags&madeETag
	r.Flags.set(noCache, t.NoCache)
	r.Flags.set(mustRevalidate, t.MustRevalidate)
	r.Flags.set(shared, t.Shared)
	r.Flags.set(explicit, t.Explicit)
}

func (r *response) terms() rfc9111.Terms {
	return rfc9111.Terms{
		Lifetime: r.Lifetime, StaleWhileRevalidate: r.StaleWhileRevalidate, StaleIfError: r.StaleIfError,
		NoCache: r.Flags&noCache != 0, MustRevalidate: r.Flags&mustRevalidate != 0, Shared: r.Flags&shared != 0,
		Explicit: r.Flags&explicit != 0,
	}
}

// freshFor returns how long a response of the given age is still fresh; if it is negative, how long it has been stale. Neither Age nor
// Lifetime is negative, so that nothing here overflows.
func (r *response) freshFor(age time.Duration) time.Duration {
	if r.Flags&noCache != 0 {
		return min(0, r.Lifetime-age)
	}
	return r.Lifetime - age
}

// usableStale reports whether a response of that age may be served in any case, even if it is stale.
func (r *response) usableStale(age time.Duration) bool {
	return r.freshFor(age) > -max(r.StaleWhileRevalidate, r.StaleIfError)
}

func (r *response) cost() int64 {
	n := overhead + len(r.Body) + 16*len(r.Header)
	for _, s := range r.Header {
		n += len(s)
	}
	for _, s := range r.Varies {
		n += 16 + len(s)
	}
	n += len(r.Around)
	if r.Index != nil {
		n += r.Index.cost()
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

// hasField reports whether the list of lines has one with the name.
func hasField(fields []string, name string) bool {
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == name {
			return true
		}
	}
	return false
}

// header returns the response's stored header.
func (r *response) header() http.Header {
	h := make(http.Header, len(r.Header)/2)
	for i := 0; i+1 < len(r.Header); i += 2 {
		h[r.Header[i]] = append(h[r.Header[i]], r.Header[i+1])
	}
	return h
}

// conflicts reports whether the handler changed fields that handlers around the cache had set before: it removed
// such a field, or added to one that isn't a list. Then its own lines can't be distinguished from lines that were set for this request
// only.
func conflicts(before, header http.Header) bool {
	for name, old := range before {
		now := header[name]
		_, added := rfc9111.Added(old, now)
		if len(now) == 0 && len(old) > 0 || added && !rfc9111.Lists(name) {
			return true
		}
	}
	return false
}

// addFields adds the fields of a response's header that are stored. Fields that were set before the handler ran, and are unchanged,
// belong to handlers around the cache, which set them for each request: a request ID must not be served to the next client.
func (r *response) addFields(before, header http.Header, kind rfc9111.Kind) {
	stored := rfc9111.Stored(header, kind)
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
		if added, ok := rfc9111.Added(before[name], values); ok && rfc9111.Lists(name) {
			values = added
		}
		for _, value := range values {
			r.add(name, value)
		}
	}
}

// missingFields says which fields that depend on the body a response lacks.
type missingFields struct{ contentType, etag bool }

// missingOf returns the fields that the cache adds to a response with this status and header.
func missingOf(status int, header http.Header) missingFields {
	_, typed := header["Content-Type"]
	return missingFields{
		contentType: !typed && len(header["Content-Encoding"]) == 0, // as on net/http
		etag:        status == http.StatusOK && len(header["Etag"]) == 0,
	}
}

// complete adds the missing fields when the body is complete.
func (r *response) complete(lacks missingFields) {
	if lacks.contentType && len(r.Body) > 0 {
		r.add("Content-Type", http.DetectContentType(r.Body))
	}
	if lacks.etag {
		r.add("Etag", makeETag(r.Body))
		r.Flags |= madeETag
	}
}

// makeETag returns a weak entity tag: 128 bits of a digest of the body. It is weak because handlers around the cache may compress the
// body: parts of different codings must not be combined (RFC 9110 §8.8.1, §13.1.5).
func makeETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`
}

func (r *response) validators() rfc9111.Validators {
	return rfc9111.Validators{ETag: r.get("Etag"), LastModified: r.get("Last-Modified"), Date: r.get("Date")}
}

// notModified reports whether by the request's conditions the client has a current copy.
func (r *response) notModified(request http.Header) bool {
	return r.precomputed.matches(request["If-None-Match"]) || rfc9111.NotModified(request, r.validators())
}

// origin returns the validators that the handler set.
func (r *response) origin() rfc9111.Validators {
	v := r.validators()
	if r.Flags&madeETag != 0 {
		v.ETag = ""
	}
	return v
}

// exact returns b without much spare capacity, which would take memory without being included in the cost.
func exact(b []byte) []byte {
	if cap(b) <= len(b)+len(b)/8 {
		return b
	}
	c := make([]byte, len(b))
	copy(c, b)
	return c
}

// contentLength returns the value of the Content-Length field, or -1 if there is none, and whether it is valid.
func contentLength(header http.Header) (n int64, ok bool) {
	lines := header["Content-Length"]
	if len(lines) == 0 {
		return -1, true
	}
	u, err := strconv.ParseUint(strings.TrimSpace(lines[0]), 10, 63)
	return int64(u), err == nil && len(lines) == 1
}
