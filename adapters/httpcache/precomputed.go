package httpcache

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// precomputed has the parts of a reply that are the same for all hits of a stored response.
type precomputed struct {
	contentLength  string   // of the whole body
	noCacheStatus  bool     // the response has no Cache-Status of another cache
	singleLines    bool     // no field has several lines
	etag           string   // the Etag, if it is valid
	merged         []string // the names of fields that are merged with those of handlers around the cache
	notModifiedLen int      // how many of the Header's strings are for a 304: the first ones
	age            atomic.Pointer[ageStamp]
}

// ageStamp has the fields of this cache for a response, which are the same during a second.
type ageStamp struct {
	age, ttl         int64 // in seconds
	ageValue, status string

	uses              atomic.Int32 // of Made, before something is worth making
	made, notModified atomic.Pointer[any]
}

// prepare is called before the response is stored, when it doesn't change any more.
func (r *response) prepare() {
	r.precomputed = &precomputed{contentLength: strconv.Itoa(len(r.Body)), noCacheStatus: !hasField(r.Header, "Cache-Status")}
	tag := r.get("Etag")
	if _, ok := rfc9111.ParseETag(tag); ok {
		r.precomputed.etag = tag
	}
	for h := r.Header; len(h) > 1; h = h[2:] {
		if merges(h[0]) && !slices.Contains(r.precomputed.merged, h[0]) {
			r.precomputed.merged = append(r.precomputed.merged, h[0])
		}
	}
	brief, rest := make([]string, 0, len(r.Header)), []string(nil)
	for h := r.Header; len(h) > 1; h = h[2:] {
		if rfc9111.InNotModified(h[0], tag != "") {
			brief = append(brief, h[0], h[1])
		} else {
			rest = append(rest, h[0], h[1])
		}
	}
	r.precomputed.notModifiedLen = len(brief)
	r.Header = append(brief, rest...)
	r.precomputed.singleLines = true
	for h := r.Header; len(h) > 3; h = h[2:] { // a field's lines follow each other
		r.precomputed.singleLines = r.precomputed.singleLines && h[0] != h[2]
	}
}

// matches reports whether the request's condition is just the response's entity tag, as nearly all conditions are.
func (r *precomputed) matches(condition []string) bool {
	return r != nil && len(condition) == 1 && condition[0] == r.etag && r.etag != ""
}

// stampFor returns the stamp for a hit.
func (r *precomputed) stampFor(hitAge time.Duration, hit *rfc9111.Status) *ageStamp {
	age, ttl := int64(hitAge/time.Second), int64(hit.TTL/time.Second)
	if s := r.age.Load(); s != nil && s.age == age && s.ttl == ttl {
		return s
	}
	b := strconv.AppendInt(make([]byte, 0, 96), age, 10)
	ageEnd := len(b)
	all := string(hit.Append(b))
	s := &ageStamp{age: age, ttl: ttl, ageValue: all[:ageEnd], status: all[ageEnd:]}
	r.age.Store(s)
	return s
}
