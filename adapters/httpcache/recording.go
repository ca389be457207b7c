package httpcache

import (
	"context"
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
	began   time.Time
	turn    *turn // nil: the outcome is delivered

	// Since the head was shown:
	length   int64 // by its Content-Length; -1: unknown
	received time.Time
	lacks    lacking
	response *response
}

// Context returns the context to run the handler on, made of the request's. With it, a handler that is wrapped in the same
// cache again doesn't wait for itself.
func (rec *Recording) Context(ctx context.Context) context.Context {
	if !rec.Active() {
		return ctx
	}
	return context.WithValue(ctx, leading{rec.cache}, rec.turn.key)
}

// leading is the context's key for what the run of a handler under it is recorded as.
type leading struct{ cache *Cache }

// Active answers whether the body is still wanted. Once it isn't it never will be.
func (rec *Recording) Active() bool {
	if rec.turn != nil && rec.turn.over.Load() {
		rec.Drop() // nobody takes the response any more: it needn't be kept
	}
	return rec.turn != nil
}

// Drop ends the recording: the response isn't stored, and requests that wait for it run the handler themselves.
func (rec *Recording) Drop() { rec.finish(outcome{}) }

func (rec *Recording) finish(o outcome) {
	if rec.turn == nil {
		return
	}
	rec.cache.deliver(rec.turn, o)
	rec.turn, rec.response = nil, nil
}

// Stream says that the answer goes out in parts from now on: requests that wait for it run the handler themselves. It is
// recorded all the same.
func (rec *Recording) Stream() {
	if rec.Active() {
		rec.cache.crowds.stream(rec.turn)
	}
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
	// A failing server may be back at the next request.
	refusal := outcome{refused: status < http.StatusInternalServerError}
	if !ok || !lengthOK || length > rec.cache.options.MaxBody {
		rec.finish(refusal)
		return
	}
	rec.received = time.Now()
	lifetime, explicit := rfc9111.Lifetime(header, rec.received)
	if !explicit {
		lifetime = rec.cache.options.TTL
	}
	r := &response{Status: status, Age: rfc9111.InitialAge(header, rec.began, rec.received), Lifetime: lifetime}
	if !r.fresh(0) || !r.addFields(before, header) {
		rec.finish(refusal)
		return
	}
	if len(header["Date"]) == 0 { // RFC 9110 §6.6.1
		r.add("Date", rec.received.UTC().Format(http.TimeFormat))
	}
	r.Body = make([]byte, 0, max(length, 0))
	rec.length, rec.lacks, rec.response = length, lacks(header), r
}

// Body shows a part of the body, which is copied.
func (rec *Recording) Body(p []byte) {
	if !rec.Active() || rec.response == nil {
		return
	}
	r := rec.response
	if int64(len(r.Body))+int64(len(p)) > rec.limit() {
		rec.finish(outcome{refused: true})
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
	if !rec.Active() {
		return
	}
	r := rec.response
	if r == nil || !rec.whole() {
		rec.Drop()
		return
	}
	r.Body = exact(r.Body)
	r.Age += time.Since(rec.received)
	r.complete(rec.lacks)
	if !r.fresh(0) {
		r = nil
	}
	rec.finish(outcome{response: r})
}
