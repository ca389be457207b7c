package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
)

var errEnded = errors.New("httpcache: the RoundTripper ended its goroutine without a response")

// roundTrip is the Exchange of a Transport: one call of RoundTrip. If the origin's response may be stored, the engine runs in a
// goroutine of its own, which reads the body at the origin's speed, while the caller reads it from the recorded bytes.
type roundTrip struct {
	cache    *Cache
	next     http.RoundTripper
	original *http.Request // the caller's
	request  *http.Request // the same for the engine

	response *http.Response
	err      error

	// For a goroutine of its own; otherwise ready is nil:
	caller   context.Context // of the original request
	ready    chan struct{}   // closed when there is a response, or an error
	cancel   context.CancelCauseFunc
	unwatch  func() bool // the caller's context isn't watched any more
	panicked any

	mu        sync.Mutex
	group     *collapseGroup // requests that wait for the response
	left      bool           // the caller has
	delivered bool
	body      *sharedBody // of the response
}

func (x *roundTrip) Request() *http.Request { return x.request }

// Around returns nothing: there are no handlers around a client.
func (x *roundTrip) Around(string) []string { return nil }

// runInBackground carries out the plan in another goroutine, and returns the response when its head is known.
func (x *roundTrip) runInBackground(p *plan) (*http.Response, error) {
	x.caller, x.ready = x.original.Context(), make(chan struct{})
	var ctx context.Context
	ctx, x.cancel = context.WithCancelCause(context.WithoutCancel(x.caller))
	// The run may go on after the caller has got an error, and uses its request again.
	x.request = ownedCopy(x.request.WithContext(ctx))
	own := *p
	own.view.r, own.view.ctx = x.cache.options.normalised(x.request), ctx
	x.unwatch = context.AfterFunc(x.caller, x.leave)
	cancelled := x.original.Cancel //nolint:staticcheck // http.Client sets it
	go x.carryOut(&own)
	select {
	case <-x.ready:
	case <-x.caller.Done():
		if x.abandon() {
			return nil, context.Cause(x.caller)
		}
	case <-cancelled:
		if x.unwatch(); x.abandon() {
			x.leave()
			return nil, context.Canceled
		}
	}
	<-x.ready
	if x.panicked != nil {
		panic(x.panicked)
	}
	if x.err != nil && x.caller.Err() != nil {
		return nil, context.Cause(x.caller) // rather than the error of the cancelled run
	}
	return x.response, x.err
}

// abandon reports whether there is no response yet. One that comes later is closed.
func (x *roundTrip) abandon() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = true
	return !x.delivered
}

// leave is called when the caller's context has ended. The run goes on as long as other requests wait for its response.
func (x *roundTrip) leave() {
	cause := context.Cause(x.caller)
	x.mu.Lock()
	group, body := x.group, x.body
	x.mu.Unlock()
	if body != nil {
		body.interrupt(cause)
	}
	if group == nil || !x.cache.groups.onAlone(group, func() { x.cancel(cause) }) {
		x.cancel(cause)
	}
}

// carryOut carries out the plan in its own goroutine.
func (x *roundTrip) carryOut(p *plan) {
	complete := false
	defer func() {
		thrown := recover()
		x.finish(complete, thrown)
	}()
	x.cache.carryOut(p)
	complete = true
}

// finish is called at the end of the run. By then the tiers have the response: the caller gets the end of the body only now, so that a
// caller that has read a whole response finds it cached.
func (x *roundTrip) finish(complete bool, thrown any) {
	x.mu.Lock()
	delivered, left, body := x.delivered, x.left, x.body
	x.mu.Unlock()
	err := error(io.EOF)
	switch {
	case thrown != nil && !delivered && !left:
		x.panicked = thrown
		x.deliver(nil, nil)
	case thrown != nil:
		x.cache.options.Logger.Error("httpcache: a RoundTripper panicked", "cache", x.cache.options.Name, "panic", thrown, "stack", string(debug.Stack()))
		err = fmt.Errorf("httpcache: the RoundTripper panicked: %v", thrown)
	case !delivered: // not complete
		x.deliver(nil, errEnded)
	case !complete:
		err = errEnded
	}
	if body != nil && !body.end(err) {
		return // the caller reads from the origin
	}
	x.unwatch()
	x.cancel(nil)
}

// deliver gives the caller its response, or the error.
func (x *roundTrip) deliver(res *http.Response, err error) {
	if res != nil {
		res.Request = x.original
	}
	x.mu.Lock()
	x.response, x.err, x.delivered = res, err, true
	left := x.left
	x.mu.Unlock()
	if x.ready == nil {
		return
	}
	close(x.ready)
	if left && res != nil {
		_ = res.Body.Close()
	}
}

// Detach returns a run in the background, with the values of the caller's context.
func (x *roundTrip) Detach() Exchange {
	r := ownedCopy(x.request.WithContext(context.WithoutCancel(x.request.Context())))
	r.Method = http.MethodGet
	return &refresh{cache: x.cache, next: x.next, request: r}
}

// refresh is the Exchange of a background run of a Transport.
type refresh struct {
	cache   *Cache
	next    http.RoundTripper
	request *http.Request
}

func (f *refresh) Request() *http.Request { return f.request }

// Around isn't called.
func (f *refresh) Around(string) []string { return nil }

// Serve isn't called.
func (f *refresh) Serve(*Reply) {}

// Detach isn't called.
func (f *refresh) Detach() Exchange { return nil }

// Run answers the request once more. Its context makes the cache record the run.
func (f *refresh) Run(rec *Recording) {
	load := rec.Context(f.request.Context())
	ctx, cancel := context.WithCancel(context.WithValue(f.request.Context(), runKey{}, load.Value(runKey{})))
	defer cancel()
	defer context.AfterFunc(load, cancel)()
	r := f.request.WithContext(ctx)
	x := &roundTrip{cache: f.cache, next: f.next, original: r, request: r}
	f.cache.Answer(x)
	if x.response != nil {
		_ = x.response.Body.Close()
	}
}

func (x *roundTrip) Serve(reply *Reply) {
	res := &http.Response{
		Status: statusLine(reply.Status), StatusCode: reply.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, reply.Len()), Body: http.NoBody, ContentLength: int64(len(reply.Body)),
	}
	reply.setIn(res.Header)
	switch {
	case x.request.Method == http.MethodHead:
		res.ContentLength = int64(reply.length)
	case len(reply.Body) > 0:
		res.Body = newStoredBody(reply.Body)
	}
	x.deliver(res, nil)
}

func statusLine(status int) string {
	if status == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

func (x *roundTrip) Run(rec *Recording) {
	rec.verbatim = true
	x.await(rec)
	if cause := context.Cause(x.request.Context()); cause != nil && x.ready != nil { // it waited for another request until its caller left
		if x.request.Body != nil {
			_ = x.request.Body.Close()
		}
		x.fail(rec, cause)
		return
	}
	res, err := x.next.RoundTrip(x.outgoing(rec))
	if err != nil || res == nil {
		x.fail(rec, err)
		return
	}
	if res.Header == nil {
		res.Header = make(http.Header)
	}
	if res.Body == nil {
		res.Body = http.NoBody
	}
	if rec.Active() && len(res.Header["Date"]) == 0 { // RFC 9110 §6.6.1
		res.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	status := rec.Head(res.StatusCode, nil, res.Header)
	if rec.Held() {
		drain(rec, res.Body)
		return
	}
	if status != "" {
		res.Header["Cache-Status"] = append(slices.Clip(res.Header["Cache-Status"]), status)
	}
	switch {
	case rec.response != nil:
		x.record(rec, res)
	case x.ready == nil || res.Body == http.NoBody || res.StatusCode == http.StatusSwitchingProtocols:
		x.deliver(res, nil)
	default:
		x.passOn(res)
	}
}

// await notes which requests wait for the response.
func (x *roundTrip) await(rec *Recording) {
	if rec.participant == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.group = rec.participant.group
}

// outgoing returns the request for next.
func (x *roundTrip) outgoing(rec *Recording) *http.Request {
	if x.ready == nil && rec.miss == nil {
		return x.original
	}
	ctx := x.request.Context()
	if rec.miss != nil {
		ctx = rec.withRun(ctx)
	}
	r := x.request.WithContext(ctx)
	r.Header, r.Cancel = edited(r.Header, rec.Edits()), nil //nolint:staticcheck // the same
	return r
}

// fail passes on an error of next.
func (x *roundTrip) fail(rec *Recording, err error) {
	// If the run was cancelled, the error isn't that of the requests that wait for it.
	rec.fail(err, err != nil && x.request.Context().Err() == nil)
	if !rec.Held() {
		x.deliver(nil, err)
	}
}

// passOn delivers a response that isn't recorded.
func (x *roundTrip) passOn(res *http.Response) {
	rest := res.Body
	body := x.share(func() {})
	res.Body = body
	x.deliver(res, nil)
	x.continueWith(body, rest)
}

// record delivers a response while its body is being recorded.
func (x *roundTrip) record(rec *Recording, res *http.Response) {
	if x.ready == nil { // of a background run, which has no caller
		drain(rec, res.Body)
		return
	}
	// The body's end changes the Trailer of res, while the caller may be reading it.
	delivered := *res
	delivered.Trailer = maps.Clone(res.Trailer)
	body := x.share(func() { delivered.Trailer = res.Trailer })
	delivered.Body = body
	x.deliver(&delivered, nil)
	rest, err := copyBody(rec, res.Body, body)
	switch {
	case rest != nil:
		x.continueWith(body, rest)
	case err != nil:
		body.end(err)
	}
}

// share returns a body for the caller.
func (x *roundTrip) share(trailers func()) *sharedBody {
	body := newSharedBody(func() { x.unwatch() }, x.cancel, trailers)
	x.mu.Lock()
	x.body = body
	x.mu.Unlock()
	if cause := context.Cause(x.caller); cause != nil { // leave may have been called before
		body.interrupt(cause)
	}
	return body
}

// continueWith makes the caller read the rest of a body, for which no other request waits.
func (x *roundTrip) continueWith(body *sharedBody, rest io.ReadCloser) {
	x.mu.Lock()
	x.group = nil
	x.mu.Unlock()
	body.continueWith(rest)
}
