package httpcache

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"time"
)

// writer passes the response to a recording. http.ResponseController reaches the other methods of the ResponseWriter through it.
type writer struct {
	http.ResponseWriter
	rec           *Recording
	before        http.Header     // the header before the handler ran
	handlerHeader http.Header     // the handler's own header; nil: it uses the real one
	trailerSource http.Header     // the former handlerHeader, which the handler may have kept for its trailers
	headShown     bool            // the recording has seen the head
	status        int             // of the head
	ctx           context.Context // the request's

	// See delay.go.
	delayed       bool        // the head is sent when the body is known
	delayedHeader http.Header // the head's, meanwhile
	body          []byte      // the recorded body
	sender        *sender     // nil: the handler's writes go directly to the client
	hasDeadline   bool        // the handler has set a write deadline
}

// Header returns the header for the handler's fields.
func (w *writer) Header() http.Header {
	if w.handlerHeader != nil {
		return w.handlerHeader
	}
	return w.ResponseWriter.Header()
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if !informational {
		if w.headShown && status != w.status {
			w.rec.Drop() // a second status means an error: the body is probably incomplete
		}
		w.head(status)
	}
	if w.rec.Held() || w.delayed && !informational || w.sender != nil { // only the sender may use the ResponseWriter
		return
	}
	if informational && w.handlerHeader != nil {
		replace(w.ResponseWriter.Header(), w.handlerHeader) // and once more with the final head
	}
	w.ResponseWriter.WriteHeader(status)
}

// head passes the head to the recording. Only the first one counts.
func (w *writer) head(status int) {
	if w.headShown {
		return
	}
	w.headShown, w.status = true, status
	s := w.rec.Head(status, w.before, w.Header())
	if w.handlerHeader != nil && !w.rec.Held() && w.rec.Delays() {
		w.delayed, w.delayedHeader = true, maps.Clone(w.handlerHeader) // fields that the handler sets from now on are trailers
		return
	}
	if w.handlerHeader != nil {
		w.commitHeader()
	}
	w.addCacheStatus(s)
}

// addCacheStatus adds the line of Cache-Status to the response.
func (w *writer) addCacheStatus(status string) {
	if status != "" && !w.rec.Held() {
		h := w.Header()
		h["Cache-Status"] = append(h["Cache-Status"], status)
	}
}

// commitHeader copies the handler's header to the response, unless that is held.
func (w *writer) commitHeader() {
	if w.rec.Held() {
		replace(w.ResponseWriter.Header(), w.before) // it may have been sent with a 103
		return
	}
	replace(w.ResponseWriter.Header(), w.handlerHeader)
	w.handlerHeader, w.trailerSource = nil, w.handlerHeader
}

// replace makes one header equal to another.
func replace(header, by http.Header) {
	clear(header)
	maps.Copy(header, by)
}

func (w *writer) Write(p []byte) (int, error) {
	w.head(http.StatusOK)
	switch {
	case w.rec.Held():
		w.rec.Body(p)
		return len(p), nil
	case w.delayed:
		return w.bufferBody(p)
	case w.sender != nil:
		return w.send(p)
	}
	n, err := w.ResponseWriter.Write(p)
	w.wrote(p[:min(max(n, 0), len(p))], err)
	return n, err
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *writer) wrote(p []byte, err error) {
	if err != nil {
		w.rec.Drop()
		return
	}
	w.rec.Body(p)
}

// ReadFrom implements io.ReaderFrom. A body that isn't recorded is read by the ResponseWriter itself, which may use sendfile.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if direct, ok := w.ResponseWriter.(io.ReaderFrom); ok && w.headShown && !w.rec.Active() && !w.rec.Held() {
		if err := w.passThrough(); err != nil {
			return 0, err
		}
		return direct.ReadFrom(src)
	}
	n, err := io.Copy(writeOnly{w}, src)
	if err != nil {
		w.rec.Drop() // reading failed: the body is incomplete
	}
	return n, err
}

// writeOnly hides ReadFrom from io.Copy.
type writeOnly struct{ io.Writer }

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	if !canFlush(w.ResponseWriter) {
		return http.ErrNotSupported // not before the head is sent, which may still change
	}
	w.head(http.StatusOK)
	if w.rec.Held() {
		return nil
	}
	w.rec.Stream()
	if err := w.passThrough(); err != nil {
		return err
	}
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err != nil {
		w.rec.Drop()
	}
	return err
}

// SetWriteDeadline is for http.ResponseController. The deadline applies to the handler's writes, so that these must not be
// delayed.
func (w *writer) SetWriteDeadline(t time.Time) error {
	w.hasDeadline = true
	if w.sender != nil {
		if err := w.passThrough(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}

// EnableFullDuplex is for http.ResponseController.
func (w *writer) EnableFullDuplex() error {
	if w.sender != nil {
		if err := w.passThrough(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).EnableFullDuplex()
}

// Push implements http.Pusher.
func (w *writer) Push(target string, o *http.PushOptions) error {
	for rw := w.ResponseWriter; ; {
		switch t := rw.(type) {
		case http.Pusher:
			return t.Push(target, o)
		case interface{ Unwrap() http.ResponseWriter }:
			rw = t.Unwrap()
		default:
			return http.ErrNotSupported
		}
	}
}

// CloseNotify implements http.CloseNotifier. Frameworks call it without checking whether it exists.
func (w *writer) CloseNotify() <-chan bool {
	if n, ok := w.ResponseWriter.(http.CloseNotifier); ok { //nolint:staticcheck // it is deprecated, and gin's c.Stream calls it
		return n.CloseNotify()
	}
	gone := make(chan bool, 1)
	context.AfterFunc(w.ctx, func() { gone <- true })
	return gone
}

// canFlush reports whether http.ResponseController can flush the ResponseWriter.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// Hijack implements http.Hijacker. The connection isn't recorded.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.passThrough(); err != nil {
		return nil, nil, err
	}
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.headShown = true
		w.rec.Drop()
	}
	return conn, buf, err
}

// rescue is deferred around the handler: a panic before the head is sent counts as a 500, and a stored response may be
// served instead. Otherwise the panic continues.
func (w *writer) rescue() {
	if w.headShown || !w.rec.MayHold() {
		w.abandon()
		return
	}
	thrown := recover()
	if thrown == nil {
		return
	}
	w.head(http.StatusInternalServerError)
	if !w.rec.Held() {
		panic(thrown)
	}
	w.rec.Panicked(thrown)
}

// end is called when the handler has returned. If it wrote nothing, the server or a handler around
// the cache writes the response, which isn't stored.
func (w *writer) end() {
	if !w.headShown {
		w.rec.Drop()
		w.head(http.StatusOK)
	}
	w.complete()
	if w.rec.serverLookup.Load() { // a cache around this one gets the head only now, and would ignore the earlier lookup
		_ = w.ctx.Value(http.ServerContextKey)
	}
	if w.rec.Held() {
		return
	}
	h := w.ResponseWriter.Header()
	for name, values := range w.trailerSource { // the trailers, by now
		if _, ok := h[name]; !ok {
			h[name] = values
		}
	}
}
