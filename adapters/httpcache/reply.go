package httpcache

import (
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Reply is an answer made from a stored response: the stored status, or 304.
type Reply struct {
	Status int
	// Body is what is to be written: nothing for HEAD and for a 304. The bytes belong to the store and must not be
	// changed.
	Body []byte

	stored *response
	age    time.Duration
	status rfc9111.Status
}

// reply makes the answer to r from a stored response of the given age.
func (c *Cache) reply(r *http.Request, stored *response, age time.Duration, status rfc9111.Status) *Reply {
	reply := &Reply{Status: stored.Status, stored: stored, age: age, status: status}
	switch {
	case conditional(r) && rfc9111.NotModified(r.Header, stored.validators()):
		reply.Status = http.StatusNotModified
		c.stats.notModified.Add(1)
	case r.Method != http.MethodHead:
		reply.Body = stored.Body
	}
	return reply
}

func conditional(r *http.Request) bool {
	return len(r.Header["If-None-Match"]) > 0 || len(r.Header["If-Modified-Since"]) > 0
}

// Len is the number of field lines in Fields, or a little more.
func (r *Reply) Len() int { return len(r.stored.Header)/2 + 3 }

// Fields returns the header field lines with canonical names; the lines of one name follow each other. They replace
// fields of the same name that the answer may have already.
func (r *Reply) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		notModified := r.Status == http.StatusNotModified
		hasETag := notModified && r.stored.get("Etag") != ""
		for h := r.stored.Header; len(h) > 1; h = h[2:] {
			if h[0] == "Cache-Status" || notModified && !rfc9111.InNotModified(h[0], hasETag) {
				continue
			}
			if !yield(h[0], h[1]) {
				return
			}
		}
		if !notModified && !yield("Content-Length", strconv.Itoa(len(r.stored.Body))) {
			return
		}
		if !yield("Age", strconv.FormatInt(int64(r.age/time.Second), 10)) {
			return
		}
		r.cacheStatus(yield)
	}
}

// cacheStatus yields the Cache-Status lines: ours comes after those of the caches the response came through (RFC 9211
// §2).
func (r *Reply) cacheStatus(yield func(name, value string) bool) {
	for h := r.stored.Header; len(h) > 1; h = h[2:] {
		if h[0] == "Cache-Status" && !yield(h[0], h[1]) {
			return
		}
	}
	yield("Cache-Status", r.status.String())
}
