package httpcache

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxAbandoned is how long the rest of a body is read when its caller has closed it.
	maxAbandoned = 30 * time.Second
	// maxUnused is how much of a body that nobody gets is read, so that its connection can be used again.
	maxUnused = 32 << 10
)

// sharedBody is the body of a response for the caller of a RoundTripper: bytes that have been recorded, followed by their end, or by
// the rest of the origin's body, which the caller then reads itself.
type sharedBody struct {
	unwatch  func()      // ends the watch of the caller's context
	cancel   func(error) // cancels the request to the origin
	trailers func()      // is called at the end, in the caller's goroutine

	mu       sync.Mutex
	change   sync.Cond // signals changes of the following fields
	recorded []byte    // so far
	err      error     // follows the recorded bytes; nil: they continue
	rest     io.ReadCloser
	closed   bool
	deadline *time.Timer // of a closed body that is being recorded

	read int
}

func newSharedBody(unwatch func(), cancel func(error), trailers func()) *sharedBody {
	b := &sharedBody{unwatch: unwatch, cancel: cancel, trailers: trailers}
	b.change.L = &b.mu
	return b
}

// add sets the bytes that have been recorded, whose beginning doesn't change.
func (b *sharedBody) add(recorded []byte) {
	b.mu.Lock()
	b.recorded = recorded
	b.mu.Unlock()
	b.change.Broadcast()
}

// end ends the recorded bytes, with io.EOF if they are the whole body. If the caller reads the rest itself it does nothing, and
// returns false.
func (b *sharedBody) end(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest != nil {
		return false
	}
	b.fail(err)
	b.stopDeadline()
	return true
}

func (b *sharedBody) stopDeadline() {
	if b.deadline != nil {
		b.deadline.Stop()
	}
}

// interrupt makes the caller's next Read fail.
func (b *sharedBody) interrupt(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail(err)
}

// fail sets the error. The first one counts.
func (b *sharedBody) fail(err error) {
	if b.err == nil {
		b.err = err
	}
	b.change.Broadcast()
}

// continueWith makes the caller read the rest itself. If it doesn't want it any more, the rest is closed.
func (b *sharedBody) continueWith(rest io.ReadCloser) {
	b.mu.Lock()
	b.rest = rest
	unwanted := b.closed || b.err != nil
	b.stopDeadline()
	b.mu.Unlock()
	b.change.Broadcast()
	if unwanted {
		_ = rest.Close()
		b.cancel(nil)
	}
}

func (b *sharedBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, rest, ended := b.next(p)
	if rest == nil {
		return n, ended
	}
	n, err := rest.Read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		b.trailers()
		b.unwatch()
		b.cancel(nil)
		return n, io.EOF
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return n, cmp.Or(b.err, err) // that of the caller's context, if the request was cancelled by it
}

// next waits for recorded bytes, their end, or the rest.
func (b *sharedBody) next(p []byte) (n int, rest io.Reader, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.read == len(b.recorded) && b.err == nil && b.rest == nil && !b.closed {
		b.change.Wait()
	}
	switch {
	case b.closed:
		return 0, nil, http.ErrBodyReadAfterClose
	case b.read < len(b.recorded):
		n = copy(p, b.recorded[b.read:])
		b.read += n
		return n, nil, nil
	case b.err == nil:
		b.recorded, b.read = nil, 0 // no longer needed
		return 0, b.rest, nil
	case b.err == io.EOF: //nolint:errorlint // end sets it
		b.trailers()
	}
	return 0, nil, b.err
}

// Close lets a body that is being recorded be read to its end, since it will be stored.
func (b *sharedBody) Close() error {
	b.mu.Lock()
	again, rest := b.closed, b.rest
	b.closed = true
	if !again && rest == nil && b.err == nil {
		b.deadline = time.AfterFunc(maxAbandoned, func() { b.cancel(nil) })
	}
	b.mu.Unlock()
	b.change.Broadcast()
	b.unwatch()
	if again || rest == nil {
		return nil
	}
	err := rest.Close()
	b.cancel(nil)
	return err
}

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyBody records a body, and adds it to that of the caller, if there is one. It returns the rest, if it isn't recorded to its end.
func copyBody(rec *Recording, from io.ReadCloser, to *sharedBody) (rest io.ReadCloser, err error) {
	buffer := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		rec.Body(buffer[:n])
		if rec.response == nil {
			part := bytes.NewReader(bytes.Clone(buffer[:n]))
			return partly{io.MultiReader(part, afterwards(from, err)), from}, nil
		}
		if to != nil {
			to.add(rec.recorded())
		}
		switch err {
		case nil:
		case io.EOF:
			return nil, from.Close()
		default:
			rec.Drop()
			_ = from.Close()
			return nil, err
		}
	}
}

// partly is the rest of a body.
type partly struct {
	io.Reader
	io.Closer
}

// afterwards returns a reader of what follows when a Read has returned err.
func afterwards(from io.Reader, err error) io.Reader {
	if err == nil {
		return from
	}
	return failing{err}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// drain reads a body that the caller doesn't get: to its end if it is recorded.
func drain(rec *Recording, body io.ReadCloser) {
	if rec.response != nil {
		if body, _ = copyBody(rec, body, nil); body == nil {
			return
		}
	}
	_, _ = io.CopyN(io.Discard, body, maxUnused)
	_ = body.Close()
}

// storedBody is the body of a stored response.
type storedBody struct {
	bytes  bytes.Reader
	closed atomic.Bool
}

func newStoredBody(body []byte) *storedBody {
	b := new(storedBody)
	b.bytes.Reset(body)
	return b
}

func (b *storedBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.bytes.Read(p)
}

// WriteTo implements io.WriterTo.
func (b *storedBody) WriteTo(w io.Writer) (int64, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.bytes.WriteTo(w)
}

func (b *storedBody) Close() error {
	b.closed.Store(true)
	return nil
}
