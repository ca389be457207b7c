package httpcache

import (
	"iter"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Reply is a response from the store: with the stored status, or 304, 206, 416; or 504 for a request with only-if-cached
// if nothing is stored.
type Reply struct {
	Status int
	// Body has the bytes to send; none for HEAD and for a 304. They belong to the store and must not be
	// changed.
	Body []byte
	// Shared: handlers around the cache may get the Body itself, see Options.SharedBodies.
	Shared bool

	stored       *response
	age          time.Duration // less than 0: it comes from the handler
	status       rfc9111.Status
	contentRange string
	length       int      // of the body; -1: no Content-Length
	clientLines  []string // lines that the handler set for this client only
}

// reply returns the reply to r from a response of the given age.
func (c *Cache) reply(r *http.Request, stored *response, age time.Duration, status rfc9111.Status) *Reply {
	reply := &Reply{Shared: c.options.SharedBodies, stored: stored, age: age, status: status}
	c.shape(reply, r, rfc9111.RelevantConditions|rfc9111.RelevantRange)
	return reply
}

// shape turns a reply with the whole stored response into the reply to r. relevant says which fields r's header may have.
func (c *Cache) shape(reply *Reply, r *http.Request, relevant rfc9111.Relevant) {
	stored := reply.stored
	reply.Status, reply.Body = stored.Status, stored.Body
	status := &reply.status
	if status.FwdStatus != http.StatusNotModified && reply.age >= 0 &&
		(stored.freshFor(reply.age) <= 0 || status.Hit && status.TTL <= 0 || rfc9111.OriginFailed(status.FwdStatus)) {
		c.stats.stale.Add(1)
	}
	// RFC 9110 §13.2.1: conditions are only evaluated for a successful response.
	success := stored.Status >= 200 && stored.Status < 300
	switch {
	case relevant&rfc9111.RelevantConditions != 0 && success && stored.notModified(r.Header):
		reply.Status, reply.Body = http.StatusNotModified, nil
		c.stats.notModified.Add(1)
	case relevant&rfc9111.RelevantRange != 0 && ranged(r) && stored.Status == http.StatusOK && rfc9111.RangeApplies(r.Header, stored.validators()):
		reply.cut(r, 0, int64(len(stored.Body)))
	case stored.Size > 0:
		reply.cut(r, stored.First, stored.Size)
	}
	reply.length = len(reply.Body)
	if reply.Status == http.StatusNotModified || reply.Status == http.StatusNoContent { // RFC 9110 §8.6
		reply.length = -1
	}
	if r.Method == http.MethodHead {
		reply.Body = nil
	}
}

func ranged(r *http.Request) bool { return r.Method == http.MethodGet && len(r.Header["Range"]) > 0 }

// cut turns the reply into one with the range that r asks for. The body begins at first in a whole of the given size.
func (r *Reply) cut(request *http.Request, first, size int64) {
	part, use := rfc9111.ParseRange(request.Header["Range"], size)
	switch use {
	case rfc9111.OneRange:
		r.Status, r.contentRange = http.StatusPartialContent, part.ContentRange(size)
		r.Body = r.Body[part.First-first : part.Last+1-first]
	case rfc9111.NoRange:
		r.Status, r.contentRange = http.StatusRequestedRangeNotSatisfiable, "bytes */"+strconv.FormatInt(size, 10)
		r.Body = nil
	}
}

// covers reports whether a part has the whole range that the request asks for.
func (r *response) covers(request *http.Request) bool {
	part, use := rfc9111.ParseRange(request.Header["Range"], r.Size)
	return use == rfc9111.OneRange && part.First >= r.First && part.Last < r.First+int64(len(r.Body)) &&
		rfc9111.RangeApplies(request.Header, r.validators())
}

// gatewayTimeout returns the reply to only-if-cached if nothing is stored (RFC 9111 §5.2.1.7).
func (c *Cache) gatewayTimeout(r *http.Request) *Reply {
	stored := &response{Status: http.StatusGatewayTimeout}
	return c.reply(r, stored, -1, rfc9111.Status{Cache: c.options.Name, Detail: "only-if-cached"})
}

// Len returns the number of field lines in Fields, or a little more.
func (r *Reply) Len() int {
	fields, _ := r.fields()
	return (len(fields)+len(r.clientLines))/2 + 4
}

// Fields yields the header field lines with canonical names; the lines of one name are consecutive. They replace
// fields of the same name that may be set in the response.
func (r *Reply) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		h, all := r.fields()
		hasETag := !all && r.Status == http.StatusNotModified && r.stored.get("Etag") != ""
		for ; len(h) > 1; h = h[2:] {
			if (all || r.sends(h[0], hasETag)) && !yield(h[0], h[1]) {
				return
			}
		}
		for h := r.clientLines; len(h) > 1; h = h[2:] {
			if !yield(h[0], h[1]) {
				return
			}
		}
		if r.contentRange != "" && !yield("Content-Range", r.contentRange) {
			return
		}
		length, age, status := r.values()
		if length != "" && !yield("Content-Length", length) {
			return
		}
		if age != "" && !yield("Age", age) {
			return
		}
		if r.stored.precomputed != nil && r.stored.precomputed.noCacheStatus {
			yield("Cache-Status", status)
			return
		}
		r.cacheStatus(status, yield)
	}
}

// setIn sets the Fields in a header, and reports whether Content-Type is one of them.
func (r *Reply) setIn(h http.Header) (typed bool) {
	if stored, all := r.fields(); all && r.stored.precomputed.singleLines && r.clientLines == nil {
		return r.setLines(h, stored)
	}
	values := make([]string, 0, r.Len())
	last := ""
	for name, value := range r.Fields() {
		if name == last {
			h[name] = append(h[name], value)
			continue
		}
		values = append(values, value)
		n := len(values)
		h[name] = values[n-1 : n : n]
		last, typed = name, typed || name == "Content-Type"
	}
	return typed
}

// setLines is setIn for most hits: with the stored fields unchanged, each of which has one line.
func (r *Reply) setLines(h http.Header, stored []string) (typed bool) {
	values := make([]string, len(stored)/2+3) // of this reply alone: handlers may change them
	i := 0
	set := func(name, value string) {
		values[i] = value
		h[name] = values[i : i+1 : i+1]
		i++
	}
	for ; len(stored) > 1; stored = stored[2:] {
		set(stored[0], stored[1])
		typed = typed || stored[0] == "Content-Type"
	}
	length, age, status := r.values()
	if length != "" {
		set("Content-Length", length)
	}
	if age != "" {
		set("Age", age)
	}
	set("Cache-Status", status)
	return typed
}

// fields returns the stored fields that may be part of the reply. all means that all of them are, unchanged and in this order.
func (r *Reply) fields() (h []string, all bool) {
	ready := r.stored.precomputed
	switch {
	case ready == nil:
		return r.stored.Header, false
	case r.Status == http.StatusNotModified:
		return r.stored.Header[:ready.notModifiedLen], ready.noCacheStatus
	}
	return r.stored.Header, ready.noCacheStatus && r.Status == r.stored.Status && r.contentRange == ""
}

// values returns the values of the cache's own fields, "" for those that the reply doesn't have. If they aren't precomputed they share
// one allocation.
func (r *Reply) values() (length, age, status string) {
	if s := r.stamp(); s != nil {
		switch r.length {
		case -1:
		case len(r.stored.Body):
			length = r.stored.precomputed.contentLength
		default:
			length = strconv.Itoa(r.length)
		}
		return length, s.ageValue, s.status
	}
	b := make([]byte, 0, 128)
	if r.length >= 0 {
		b = strconv.AppendInt(b, int64(r.length), 10)
	}
	lengthEnd := len(b)
	if r.age >= 0 {
		b = strconv.AppendInt(b, int64(r.age/time.Second), 10)
	}
	ageEnd := len(b)
	all := string(r.status.Append(b))
	return all[:lengthEnd], all[lengthEnd:ageEnd], all[ageEnd:]
}

// stamp returns the values that are the same for other hits; nil if there are none.
func (r *Reply) stamp() *ageStamp {
	if ready := r.stored.precomputed; ready != nil && r.age >= 0 && r.status.Hit && r.status.Detail == "" {
		return ready.stampFor(r.age, &r.status)
	}
	return nil
}

// Made returns where a server's adapter keeps what it made of the reply's Status and Fields, which it may use for other replies that return the
// same place: theirs are the same. It returns nil if there are no such replies, or too few to make anything for.
func (r *Reply) Made() *atomic.Pointer[any] {
	const worthwhile = 4 // replies within a second
	s := r.stamp()
	if s == nil || r.contentRange != "" || len(r.clientLines) > 0 {
		return nil
	}
	place := &s.made
	switch r.Status {
	case http.StatusNotModified:
		place = &s.notModified
	case r.stored.Status:
	default:
		return nil
	}
	if place.Load() == nil && s.uses.Add(1) < worthwhile {
		return nil
	}
	return place
}

// sends reports whether a stored field is part of the reply unchanged.
func (r *Reply) sends(name string, hasETag bool) bool {
	switch {
	case name == "Cache-Status", name == "Content-Range" && r.contentRange != "":
		return false
	case r.Status == http.StatusNotModified:
		return rfc9111.InNotModified(name, hasETag)
	case r.Status == http.StatusRequestedRangeNotSatisfiable:
		return name == "Etag" || name == "Date" || name == "Vary" || name == "Cache-Control"
	}
	return true
}

// cacheStatus yields the Cache-Status lines: this cache's comes after those of the caches closer to the origin (RFC 9211
// §2).
func (r *Reply) cacheStatus(status string, yield func(name, value string) bool) {
	for h := r.stored.Header; len(h) > 1; h = h[2:] {
		if h[0] == "Cache-Status" && !yield(h[0], h[1]) {
			return
		}
	}
	yield("Cache-Status", status)
}
