package httpcache

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Recording watches one run of the handler, and keeps what may be stored of its answer. It belongs to the goroutine
// that runs the handler. The zero Recording records nothing.
type Recording struct {
	status rfc9111.Status // without a Cache: none is said

	// Of a run that is recorded:
	cache   *Cache
	request *http.Request
	key     string
	began   time.Time
	deliver func(*response) // called once, with nil if the response isn't stored; nil afterwards

	header   http.Header // when the head was shown
	length   int64       // by its Content-Length; -1: unknown
	received time.Time
	response *response
}

// Context returns the context to run the handler on, made of the request's. With it, a handler that is wrapped in the same
// cache again doesn't wait for itself.
func (rec *Recording) Context(ctx context.Context) context.Context {
	if !rec.Active() {
		return ctx
	}
	return context.WithValue(ctx, leading{rec.cache}, rec.key)
}

// leading is the context's key for what the run of a handler under it is recorded as.
type leading struct{ cache *Cache }

// Active answers whether the body is still wanted. Once it isn't it never will be.
func (rec *Recording) Active() bool { return rec.deliver != nil }

// Drop ends the recording: the response isn't stored, and requests that wait for it run the handler themselves.
func (rec *Recording) Drop() { rec.finish(nil) }

func (rec *Recording) finish(r *response) {
	if rec.deliver == nil {
		return
	}
	rec.deliver(r)
	rec.deliver, rec.response, rec.header = nil, nil, nil
}

// Head shows the final status and header fields, with those that were set before the handler ran. It returns the
// value for a line of Cache-Status to be added to the answer, if not empty. The headers are not kept or changed.
func (rec *Recording) Head(status int, before, header http.Header) (cacheStatus string) {
	if rec.Active() {
		rec.head(status, before, header)
	}
	if rec.status.Cache == "" {
		return ""
	}
	rec.status.Stored = rec.Active()
	return rec.status.String()
}

func (rec *Recording) head(status int, before, header http.Header) {
	ok, _ := rfc9111.Storable(rec.request.Method, rec.request.Header, status, header)
	length, lengthOK := contentLength(header)
	if !ok || !lengthOK || length > rec.cache.options.MaxBody {
		rec.Drop()
		return
	}
	rec.received = time.Now()
	lifetime, explicit := rfc9111.Lifetime(header, rec.received)
	if !explicit {
		lifetime = rec.cache.options.TTL
	}
	age := rfc9111.InitialAge(header, rec.began, rec.received)
	if age >= lifetime {
		rec.Drop()
		return
	}
	rec.length = length
	rec.header = maps.Clone(header)
	rec.response = &response{Status: status, Age: age, Lifetime: lifetime, Body: make([]byte, 0, max(length, 0))}
	rec.response.addFields(before, header)
}

// Body shows a part of the body, which is copied.
func (rec *Recording) Body(p []byte) {
	if !rec.Active() || rec.response == nil {
		return
	}
	r := rec.response
	if int64(len(r.Body))+int64(len(p)) > rec.limit() {
		rec.Drop()
		return
	}
	r.Body = append(r.Body, p...)
}

// limit is the length up to which the body is recorded.
func (rec *Recording) limit() int64 {
	if rec.length >= 0 {
		return rec.length
	}
	return rec.cache.options.MaxBody
}

// whole answers whether the body ended where it should. Where its length isn't known, a handler whose client has left may
// have stopped early.
func (rec *Recording) whole() bool {
	if rec.length >= 0 {
		return int64(len(rec.response.Body)) == rec.length
	}
	return rec.request.Context().Err() == nil
}

// end is called when the handler has returned: what was recorded is stored, if it is whole.
func (rec *Recording) end() {
	r := rec.response
	if !rec.Active() {
		return
	}
	if r == nil || !rec.whole() {
		rec.Drop()
		return
	}
	r.Body = exact(r.Body)
	r.Age += time.Since(rec.received)
	r.complete(rec.header, rec.received)
	if r.Age >= r.Lifetime {
		r = nil
	}
	rec.finish(r)
}
