package httpcache_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// bodyOf fetches a handler's answer over a connection.
func bodyOf(t *testing.T, h http.Handler, target string) (*http.Response, []byte) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	res, err := http.Get(s.URL + target)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res, body
}

// What goes straight to the client doesn't overtake what has been held back, or is being sent.
func TestOrderOfTheBody(t *testing.T) {
	for target, n := range map[string]int{"/short": 10, "/long": 4 << 20} {
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			setFields(w.Header(), []string{"X-A", "1", "Content-Type", "text/css"})
			_, _ = w.Write(bytes.Repeat([]byte("A"), n))
			_, _ = io.Copy(w, iotest.ErrReader(io.ErrUnexpectedEOF)) // nothing is recorded from here on
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("B", 3000)), 3000))
		}))
		res, body := bodyOf(t, h, target)
		if want := strings.Repeat("A", n) + strings.Repeat("B", 3000); string(body) != want {
			t.Errorf("%s: %d bytes, want %d; the first B is at %d", target, len(body), len(want), bytes.IndexByte(body, 'B'))
		}
		if res.Header.Get("X-A") != "1" || res.Header.Get("Content-Type") != "text/css" {
			t.Errorf("%s: %v", target, res.Header)
		}
	}
}

// lateHead is a ResponseWriter that changes the header when the first bytes come, as those that compress do.
type lateHead struct {
	http.ResponseWriter
	begun bool
}

func (w *lateHead) WriteHeader(int) {}

func (w *lateHead) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.Header().Set("Content-Encoding", "none")
		w.ResponseWriter.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// While a body is sent its ResponseWriter isn't the handler's: the race detector would tell.
func TestHeaderWhileABodyIsSent(t *testing.T) {
	inner := newCache(t, httpcache.Options{TTL: minute}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 2*short))
		for range 1000 {
			w.Header().Set(http.TrailerPrefix+"X-Sum", w.Header().Get("Content-Type"))
			w.WriteHeader(http.StatusOK)
		}
		_, _ = w.Write(make([]byte, short))
	}))
	res, body := bodyOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(&lateHead{ResponseWriter: w}, r) }), "/a")
	if len(body) != 3*short || res.Header.Get("Content-Encoding") != "none" {
		t.Errorf("%d bytes, %v", len(body), res.Header)
	}
}

// A deadline is for what the handler writes after it has set it: that isn't sent later.
func TestWriteDeadline(t *testing.T) {
	var latest time.Time
	inner := newCache(t, httpcache.Options{TTL: minute}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 10 {
			latest = time.Now().Add(minute)
			if err := http.NewResponseController(w).SetWriteDeadline(latest); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(make([]byte, short))
		}
	}))
	timed := &timedWriter{ResponseRecorder: httptest.NewRecorder(), latest: &latest}
	inner.ServeHTTP(timed, request("GET", "/a"))
	if timed.Body.Len() != 10*short || timed.wrong > 1 { // what is held back when the first one is set goes with the second
		t.Errorf("%d bytes, %d of them under another deadline", timed.Body.Len(), timed.wrong)
	}
}

type timedWriter struct {
	*httptest.ResponseRecorder
	latest   *time.Time
	deadline time.Time
	wrong    int
}

func (w *timedWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }

func (w *timedWriter) Write(p []byte) (int, error) {
	if !w.deadline.Equal(*w.latest) {
		w.wrong++
	}
	return w.ResponseRecorder.Write(p)
}

// Trailers that weren't declared reach the client of a miss, too.
func TestUndeclaredTrailer(t *testing.T) {
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 5000))
		w.Header().Set(http.TrailerPrefix+"X-Sum", "abc")
	}))
	if res, _ := bodyOf(t, h, "/a"); res.Trailer.Get("X-Sum") != "abc" {
		t.Errorf("the trailers are %v", res.Trailer)
	}
}

// A field that is one client's alone, by the stored Cache-Control or by that of the 304, reaches nobody else.
func TestOwnFieldsOfA304(t *testing.T) {
	for name, tc := range map[string]struct{ first, then string }{
		"by what is stored": {`max-age=1, no-cache="Set-Cookie", private="X-Name"`, ""},
		"by the 304":        {"max-age=1", `max-age=60, no-cache="Set-Cookie", private="X-Name"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.handler = func(w http.ResponseWriter, r *http.Request) {
					user := r.Header.Get("X-User")
					setFields(w.Header(), []string{"Etag", `"1"`, "X-Name", user})
					control, status := tc.first, http.StatusOK
					if o.runs.Load() > 1 {
						control, status = tc.then, http.StatusNotModified
					}
					if o.runs.Load() > 1 || tc.then == "" {
						w.Header().Set("Set-Cookie", "sid="+user)
					}
					if control != "" {
						w.Header().Set("Cache-Control", control)
					}
					if w.WriteHeader(status); status == http.StatusOK {
						_, _ = io.WriteString(w, "page")
					}
				}
				h := newCache(t, httpcache.Options{}).Handler(o)
				get(h, "/p", "X-User", "alice")
				time.Sleep(2 * time.Second)
				bob := get(h, "/p", "X-User", "bob")
				if bob.Header().Get("Set-Cookie") != "sid=bob" || bob.Header().Get("X-Name") != "bob" || bob.Body.String() != "page" {
					t.Errorf("bob: %v", bob.Header())
				}
				if carol := get(h, "/p", "X-User", "carol"); !isHit(carol) || carol.Header().Get("Set-Cookie") != "" || carol.Header().Get("X-Name") != "" {
					t.Errorf("carol: %v", carol.Header())
				}
			})
		})
	}
}
