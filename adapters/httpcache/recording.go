package httpcache

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Recording observes one run of the handler, and keeps the response if it may be stored. Only the goroutine
// that runs the handler may use it. The zero Recording records nothing.
type Recording struct {
	status rfc9111.Status // without a Cache there is no Cache-Status
	change *change        // of a run that may invalidate stored responses; nil: it doesn't

	// For a recorded run:
	cache       *Cache
	miss        *missRequest
	began       time.Time
	participant *participant    // nil: the outcome is delivered
	holds       bool            // the response may be held
	headOnly    bool            // the run is for a HEAD, which only needs holds
	verbatim    bool            // the response is stored without fields that the cache would add
	background  context.Context // of a background run, for the outermost handler; nil: a client waits for the answer
	arrived     bool            // the background run has reached the cache

	served       bool        // there is a server in the run's context
	serverLookup atomic.Bool // the handler looked it up, see watchedContext

	// After Head:
	before      http.Header
	length      int64 // by its Content-Length; -1: unknown
	received    time.Time
	part        int64    // of a 206: how long the part is
	delayable   bool     // the response may be sent after the end of the body
	clientLines []string // lines of the fields that are for this client only
	missing     missingFields
	response    *response

	// If it is held:
	held  bool
	reply *Reply
}

// record returns a recording of a participant's run.
func (c *Cache) record(p *participant) *Recording {
	p.request = ownedCopy(p.request)
	return &Recording{
		status:      rfc9111.Status{Cache: c.options.Name, Forward: p.forward, Detail: p.detail},
		cache:       c,
		miss:        p.missRequest,
		participant: p,
		began:       time.Now(),
		holds:       p.found != nil || conditional(p.request) && !p.forPart(),
	}
}

// ownedCopy returns the request with copies of its header and URL, which may be read after the request has been answered: the
// handler, and those around the cache, may change the originals.
func ownedCopy(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	u := *r.URL
	r.URL, r.Header = &u, r.Header.Clone()
	return r
}

// Context returns the context for the handler, derived from the request's. With it, a handler that is wrapped in the same
// cache twice doesn't wait for itself. For the Run of a detached Exchange it is the context for the server's outermost
// handler, and has none of the request's values.
func (rec *Recording) Context(ctx context.Context) context.Context {
	if rec.background != nil && !rec.arrived {
		return rec.background
	}
	if !rec.Active() || rec.miss == nil {
		return ctx
	}
	ctx = rec.withRun(ctx)
	rec.served = serverOf(ctx) != nil
	return watchedContext{ctx, &rec.serverLookup}
}

// withRun returns the context of a recorded run, in which the cache doesn't wait for this run.
func (rec *Recording) withRun(ctx context.Context) context.Context {
	return context.WithValue(ctx, runKey{}, &run{cache: rec.cache, primary: rec.miss.primary, outer: runOf(ctx)})
}

// Edit is a change of a header: of the handler's request, or of a response.
type Edit struct {
	Name  string // canonical
	Value string // "": the field is removed
}

// Edits returns the differences between the request's header for the handler and the client's: it has the validators of the stored
// response instead of the client's, and no Range, unless only a part is to be stored.
func (rec *Recording) Edits() (edits []Edit) {
	m := rec.miss
	if m == nil || m.request.Method != http.MethodGet {
		return nil
	}
	if len(rec.cache.options.Encodings) > 0 {
		edits = append(edits, Edit{acceptEncoding, m.request.Header.Get(acceptEncoding)})
	}
	if m.forPart() { // only the handler can evaluate the client's conditions
		return edits
	}
	match, since := m.conditions()
	edits = appendEdit(edits, m.request.Header, "If-None-Match", match)
	edits = appendEdit(edits, m.request.Header, "If-Modified-Since", since)
	edits = appendEdit(edits, m.request.Header, "Range", "")
	return appendEdit(edits, m.request.Header, "If-Range", "")
}

// edited returns the header with the edits; it is copied if there are any.
func edited(header http.Header, edits []Edit) http.Header {
	if len(edits) == 0 {
		return header
	}
	header = maps.Clone(header)
	for _, e := range edits {
		if delete(header, e.Name); e.Value != "" {
			header[e.Name] = []string{e.Value}
		}
	}
	return header
}

func appendEdit(edits []Edit, header http.Header, name, value string) []Edit {
	if value == "" && len(header[name]) == 0 {
		return edits
	}
	return append(edits, Edit{name, value})
}

// Active reports whether the whole response is still wanted. Once it isn't, it never is again.
func (rec *Recording) Active() bool {
	if rec.participant != nil && rec.participant.abandoned.Load() {
		rec.finish(outcome{}) // the loader has stopped waiting: the response needn't be kept
	}
	return rec.participant != nil || rec.change != nil || rec.headOnly
}

// MayHold reports whether the response may be Held.
func (rec *Recording) MayHold() bool { return rec.holds }

// Held reports whether the response must not be sent: the client gets a stored one instead.
func (rec *Recording) Held() bool { return rec.held }

// Panicked logs a panic of the handler that doesn't continue, because its response is Held.
func (rec *Recording) Panicked(thrown any) {
	if err, ok := thrown.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return
	}
	rec.cache.options.Logger.Error("httpcache: a handler panicked, and a stale response was served instead",
		"cache", rec.cache.options.Name, "panic", thrown, "stack", string(debug.Stack()))
}

// watchHead is record for a HEAD, whose response isn't stored: a stale one may be served instead, as for a GET.
func (c *Cache) watchHead(m *missRequest) *Recording {
	return &Recording{
		status: rfc9111.Status{Cache: c.options.Name, Forward: m.forward}, cache: c, miss: m, began: time.Now(), holds: true, headOnly: true,
	}
}

// Drop ends the recording: the response isn't stored, and requests that wait for it run the handler themselves. A Drop before Head
// means that the response isn't known, so that it isn't Held either.
func (rec *Recording) Drop() {
	rec.holds = false
	rec.finish(outcome{})
}

func (rec *Recording) finish(o outcome) {
	if rec.participant == nil {
		return
	}
	rec.cache.deliver(rec.participant, o)
	rec.participant, rec.response = nil, nil
}

// Stream must be called when the response is sent in parts from now on: requests that wait for it run the handler themselves. It is
// recorded all the same.
func (rec *Recording) Stream() {
	if rec.participant != nil && rec.participant.group != nil && rec.Active() {
		rec.cache.groups.stream(rec.participant.group)
	}
}

// Head must be called with the final status and header fields, and those that were set before the handler ran. It returns the
// value for a line of Cache-Status to be added to the response, if not empty. It doesn't change the headers, and keeps only that of
// before. After Drop the status may be 0: it isn't known, and so nothing is invalidated either.
func (rec *Recording) Head(status int, before, header http.Header) (cacheStatus string) {
	if ch := rec.change; ch != nil {
		rec.change = nil
		if ch.stores = rec.participant != nil && ch.storable(status, header); !ch.stores {
			rec.Drop()
		}
		ch.apply(status, header)
	}
	if rec.Active() && len(header["Cache-Control"])+len(header["Cdn-Cache-Control"]) > 0 {
		rec.clientLines = ownLines(header, rfc9111.Own(header, rec.cache.options.kind()))
	}
	rec.before = before
	if rec.holds && rec.hold(status, before, header) {
		return ""
	}
	if rec.headOnly {
		rec.headOnly = false
	} else if rec.Active() {
		rec.head(status, before, header)
	}
	return rec.CacheStatus()
}

// head decides whether the response is stored.
func (rec *Recording) head(status int, before, header http.Header) {
	c, m := rec.cache, rec.miss
	rec.received = time.Now()
	// A failed server may work at the next request; neither a part, a 304, nor one user's response means that other responses can't be
	// stored.
	barred := m.needsShared(m.request)
	refusal := outcome{unstorable: status < http.StatusInternalServerError && status != http.StatusNotModified && !m.forPart() && !barred}
	r, why := c.storable(m, status, header, rec.received)
	if r == nil {
		if barred {
			c.hitForMiss.add(m.key, hitForMissTTL)
		}
		rec.status.Detail = why
		rec.finish(refusal)
		return
	}
	r.Age = rfc9111.InitialAge(header, rec.began, rec.received)
	switch {
	case conflicts(before, header):
		why = "around"
	case !c.worthStoring(r, header):
		why = "stale"
	}
	if why != "" {
		rec.status.Detail = why
		rec.finish(refusal)
		return
	}
	r.addFields(before, header, c.options.kind())
	c.noteAround(m, r, before)
	if rec.verbatim && r.get("Content-Encoding") != "" { // not for clients that can't decode it, even if the origin omits Vary
		r.Varies = append(r.Varies, acceptEncoding)
	}
	if len(header["Date"]) == 0 { // RFC 9110 §6.6.1
		r.add("Date", rec.received.UTC().Format(http.TimeFormat))
	}
	if r.Size > 0 {
		part, _, _ := rfc9111.ParseContentRange(header["Content-Range"])
		rec.part = part.Last + 1 - part.First
	}
	length, _ := contentLength(header)
	r.Body = make([]byte, 0, max(length, 0))
	rec.length, rec.response = length, r
	if !rec.verbatim {
		rec.missing = missingOf(status, header)
	}
	if rec.served { // with a server other handlers may have looked it up before, and without one http.TimeoutHandler delays the head
		rec.serverLookup.Store(false)
	}
	rec.delayable = status == http.StatusOK && m.request.Method == http.MethodGet && len(header["Trailer"]) == 0
}

// ownLines returns the lines of the named fields, without duplicates.
func ownLines(header http.Header, names []string) (lines []string) {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, value := range header[name] {
			lines = append(lines, name, value)
		}
	}
	return lines
}

// Delays reports whether the head may be sent after the whole body was recorded, see Complete.
func (rec *Recording) Delays() bool { return rec.response != nil && rec.delayable }

// recorded returns the body so far; nil if it isn't recorded.
func (rec *Recording) recorded() []byte {
	if rec.response == nil {
		return nil
	}
	return rec.response.Body
}

// Complete may be called before the head is sent, when the whole body was recorded. It returns the fields that the stored response
// has and the handler didn't set, and reports whether the body is complete. If the client has a current copy, the response is Held.
func (rec *Recording) Complete() (made []Edit, whole bool) {
	r := rec.response
	if !rec.Delays() || !rec.Active() {
		rec.Drop()
		return nil, false
	}
	if !rec.whole() {
		rec.status.Detail = "incomplete"
		rec.Drop()
		return nil, false
	}
	given := len(r.Header)
	r.complete(rec.missing)
	for h := r.Header[given:]; len(h) > 1; h = h[2:] {
		made = append(made, Edit{h[0], h[1]})
	}
	etag := rec.missing.etag
	rec.missing = missingFields{}
	if request := rec.miss.request; etag && conditional(request) && r.notModified(request.Header) {
		rec.prepareReply(r, -1, rfc9111.Status{FwdStatus: http.StatusOK, Stored: true})
		rec.held, rec.reply.clientLines = true, rec.clientLines
	}
	return made, true
}

// CacheStatus returns the value for a line of Cache-Status like Head, but takes the body into account.
func (rec *Recording) CacheStatus() string {
	if rec.status.Cache == "" {
		return ""
	}
	rec.status.Stored = rec.Active()
	return rec.status.String()
}

// Body records a part of the body, which it copies.
func (rec *Recording) Body(p []byte) {
	if !rec.Active() || rec.response == nil {
		return
	}
	r := rec.response
	if int64(len(r.Body))+int64(len(p)) > rec.limit() {
		rec.status.Detail = "too-long"
		rec.finish(outcome{unstorable: true})
		return
	}
	r.Body = append(r.Body, p...)
}

// limit returns the maximal length of the recorded body.
func (rec *Recording) limit() int64 {
	if rec.length >= 0 {
		return rec.length
	}
	return rec.cache.options.MaxBody
}

// whole reports whether the body is complete. If its length isn't known, a handler whose client has disconnected may
// have stopped early.
func (rec *Recording) whole() bool {
	r := rec.response
	switch {
	case rec.serverLookup.Load(): // copying it failed
		return false
	case r.Size > 0 && int64(len(r.Body)) != rec.part: // by its Content-Range (RFC 9110 §14.4)
		return false
	case rec.length >= 0:
		return int64(len(r.Body)) == rec.length
	}
	return rec.miss.request.Context().Err() == nil && (rec.background == nil || rec.background.Err() == nil)
}

// end is called when the handler has returned: the recorded response is stored if it is complete.
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
	r.Age = rfc9111.Older(r.Age, time.Since(rec.received))
	r.complete(rec.missing)
	r.prepare()
	rec.finish(outcome{response: r})
}
