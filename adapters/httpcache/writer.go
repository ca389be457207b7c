package httpcache

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer shows to a recording what passes through it. http.ResponseController finds in it what it doesn't do itself.
type writer struct {
	http.ResponseWriter
	rec    *Recording
	before http.Header // the header before the handler ran
	headed bool        // the recording has seen the head
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if !informational {
		w.head(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// head shows the head, of which the first one counts.
func (w *writer) head(status int) {
	if w.headed {
		return
	}
	w.headed = true
	h := w.Header()
	if s := w.rec.Head(status, w.before, h); s != "" {
		h["Cache-Status"] = append(h["Cache-Status"], s)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.head(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.wrote(p[:min(max(n, 0), len(p))], err)
	return n, err
}

func (w *writer) wrote(p []byte, err error) {
	if err != nil {
		w.rec.Drop()
		return
	}
	w.rec.Body(p)
}

// ReadFrom is for io.Copy. Once the head is shown, what isn't recorded goes the shortest way, which may be sendfile.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if direct, ok := w.ResponseWriter.(io.ReaderFrom); ok && w.headed && !w.rec.Active() {
		return direct.ReadFrom(src)
	}
	n, err := io.Copy(writeOnly{w}, src)
	if err != nil {
		w.rec.Drop() // the source broke off: what was written isn't the whole
	}
	return n, err
}

// writeOnly hides ReadFrom from io.Copy.
type writeOnly struct{ io.Writer }

// Flush sends what was written so far, if the server can do that.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	if !canFlush(w.ResponseWriter) {
		return http.ErrNotSupported // nothing is sent: the head may still change
	}
	w.head(http.StatusOK)
	w.rec.Stream()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err != nil {
		w.rec.Drop()
	}
	return err
}

// canFlush looks where http.ResponseController would.
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

// Hijack hands the connection over. Nothing that passes on it is recorded.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.headed = true
		w.rec.Drop()
	}
	return conn, buf, err
}

// end is called when the handler has returned. One that wrote nothing is answered by the server, or by a handler around
// the cache, which may still make another answer of it: it is not stored.
func (w *writer) end() {
	if !w.headed {
		w.rec.Drop()
		w.head(http.StatusOK)
	}
}
