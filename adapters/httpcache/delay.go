package httpcache

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// A response that is being stored is sent to its own client in one of two ways. A short one waits until the handler has returned:
// then it has the same ETag and Content-Length as from the store, or is the same 304. A longer one is sent by
// a goroutine of its own from the recorded bytes, so that a slow client delays neither the handler nor the requests that wait for
// the response. If the handler flushes, its writes go directly to the client.

// maxDelayed is the length up to which a body is sent as a whole.
const maxDelayed = 32 << 10

// bufferBody receives a part of a body whose head hasn't been sent.
func (w *writer) bufferBody(p []byte) (int, error) {
	if w.record(p) && len(w.body) <= maxDelayed {
		return len(p), nil
	}
	if w.rec.Active() && !w.hasDeadline {
		w.startSender()
		return len(p), nil
	}
	recorded := w.rec.Active()
	if err := w.passThrough(); err != nil {
		return 0, err
	}
	if recorded {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p) // the response isn't stored after all
}

// startSender starts a sender for the body. Until it has ended only the sender uses the ResponseWriter and its header, and the
// handler has a header of its own: handlers around the cache may change fields when the sender writes.
func (w *writer) startSender() {
	own := w.handlerHeader
	w.sendHead(w.rec.CacheStatus())
	w.handlerHeader = own
	w.sender = newSender(w.ResponseWriter)
	w.sender.add(w.body)
}

// record records a part of the body, and reports whether the recording has the whole body so far.
func (w *writer) record(p []byte) bool {
	w.rec.Body(p)
	if !w.rec.Active() {
		return false
	}
	w.body = w.rec.recorded()
	return true
}

// send passes a further part of the body to the sender.
func (w *writer) send(p []byte) (int, error) {
	if err := w.sender.failed(); err != nil {
		w.rec.Drop() // the handler may stop early because of the error
		return 0, err
	}
	if w.record(p) {
		w.sender.add(w.body)
		return len(p), nil
	}
	if err := w.passThrough(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// sendDelayed sends the head, and the body so far.
func (w *writer) sendDelayed(cacheStatus string) error {
	w.sendHead(cacheStatus)
	if len(w.body) == 0 {
		return nil
	}
	_, err := w.ResponseWriter.Write(w.body)
	return err
}

// sendHead sends the head.
func (w *writer) sendHead(cacheStatus string) {
	w.delayed = false
	w.commitHeader()
	replace(w.ResponseWriter.Header(), w.delayedHeader)
	w.addCacheStatus(cacheStatus)
	w.ResponseWriter.WriteHeader(w.status)
}

// passThrough makes the handler's further writes go directly to the client.
func (w *writer) passThrough() (err error) {
	switch {
	case w.delayed:
		err = w.sendDelayed(w.rec.CacheStatus())
	case w.sender != nil:
		err = w.sender.end()
		w.sender, w.handlerHeader = nil, nil
	}
	if err != nil {
		w.rec.Drop()
	}
	return err
}

// complete sends the rest when the handler has returned.
func (w *writer) complete() {
	switch {
	case w.delayed:
		w.completeShort()
	case w.sender != nil:
		w.rec.end() // it is stored even if the client disconnects
		_ = w.passThrough()
	}
}

func (w *writer) completeShort() {
	made, whole := w.rec.Complete()
	if w.rec.Held() {
		w.delayed = false
		w.commitHeader()
		return
	}
	if whole {
		for _, field := range made {
			w.delayedHeader[field.Name] = []string{field.Value}
		}
		if !w.hasTrailers() { // HTTP/1.1 has trailers only without a length
			w.delayedHeader["Content-Length"] = []string{strconv.Itoa(len(w.body))}
		}
	}
	s := w.rec.CacheStatus()
	w.rec.end()          // it is stored even if the client disconnects
	_ = w.sendDelayed(s) // it fails if the client has disconnected
}

// hasTrailers reports whether the handler has set a trailer that it hasn't declared.
func (w *writer) hasTrailers() bool {
	for name := range w.handlerHeader {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// abandon is called when the handler may have panicked. Nothing more is sent.
func (w *writer) abandon() {
	if w.sender != nil {
		w.sender.drop()
	}
}

// sender writes a body that is being recorded to the client, at the client's speed.
type sender struct {
	w http.ResponseWriter

	mu     sync.Mutex
	change sync.Cond // signals changes of the following fields
	body   []byte    // the body so far
	ended  bool      // the body is complete
	err    error

	sent     int
	done     chan struct{}
	panicked any // a panic of the ResponseWriter
}

func newSender(w http.ResponseWriter) *sender {
	s := &sender{w: w, done: make(chan struct{})}
	s.change.L = &s.mu
	go s.run()
	return s
}

func (s *sender) run() {
	defer close(s.done)
	defer func() {
		if s.panicked = recover(); s.panicked != nil {
			s.fail(errors.New("httpcache: the response writer panicked"))
		}
	}()
	for {
		part := s.next()
		if len(part) == 0 {
			return
		}
		if _, err := s.w.Write(part); err != nil {
			s.fail(err)
			return
		}
		s.sent += len(part)
	}
}

// next waits for a part that hasn't been sent. It returns none if all has been sent.
func (s *sender) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.body) == s.sent && !s.ended {
		s.change.Wait()
	}
	return s.body[min(s.sent, len(s.body)):]
}

func (s *sender) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// failed returns why sending to the client failed.
func (s *sender) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// add makes the sender send the body, a beginning of which may have been sent before.
func (s *sender) add(body []byte) {
	s.mu.Lock()
	s.body = body
	s.mu.Unlock()
	s.change.Signal()
}

// end waits until everything has been sent or sending has failed. A panic of the ResponseWriter continues here.
func (s *sender) end() error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.change.Signal()
	<-s.done
	if s.panicked != nil {
		panic(s.panicked)
	}
	return s.failed()
}

// drop waits for the current write, and sends no more.
func (s *sender) drop() {
	s.mu.Lock()
	s.body, s.ended = nil, true
	s.mu.Unlock()
	s.change.Signal()
	<-s.done
}
