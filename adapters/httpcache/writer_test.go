package httpcache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

func TestHijack(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nraw")
		if err := buf.Flush(); err != nil {
			t.Error(err)
		}
	}}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	for range 2 {
		if res, body := fetch(t, s, "/"); body != "raw" || len(res.Header["Cache-Status"]) != 0 {
			t.Errorf("%v, %q", res.Header, body)
		}
	}
	o.expectRuns(t, 2)
}

// A handler that may not hijack answers in another way.
func TestHijackFails(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("a recorder was hijacked")
		}
		fmt.Fprint(w, "hello")
	}}
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	expect(t, get(h, "/a"), 200, stored, "hello")
	get(h, "/a")
	o.expectRuns(t, 1)
}

// A flush that sends nothing doesn't settle the status.
func TestFlushNotSupported(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush: %v", err)
		}
		w.Header().Set("Cache-Control", "private")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, r.Header.Get("X-User"))
	}}
	h := http.TimeoutHandler(newCache(t, httpcache.Options{TTL: minute}).Handler(o), minute, "")
	for _, user := range []string{"alice", "bob"} {
		expect(t, get(h, "/a", "X-User", user), 500, missed, user)
	}
}

// A copy whose source breaks off is not the whole.
func TestBrokenCopyIsNotStored(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		source := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := io.Copy(w, source); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("io.Copy: %v", err)
		}
	}}
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
	for range 2 {
		expect(t, get(h, "/a"), 200, missed, "half")
	}
	o.expectRuns(t, 2)
}

// Handlers around the cache see which pattern matched.
func TestPatternIsPassedOn(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", text("hello"))
	r := request("GET", "/users/1")
	serve(newCache(t, httpcache.Options{TTL: minute}).Handler(mux), r)
	if r.Pattern != "GET /users/{id}" {
		t.Errorf("Pattern: %q", r.Pattern)
	}
}
