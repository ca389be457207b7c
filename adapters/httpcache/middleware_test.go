package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// listenAs serves a handler on loopback.
func listenAs(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// Trailers reach the client, also where the answer might have been another's; they aren't stored.
func TestTrailers(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		setFields(h, []string{"Trailer", "X-Sum", "ETag", `"a"`})
		fmt.Fprint(w, "hello")
		h.Set("X-Sum", "5")
		h.Set(http.TrailerPrefix+"X-Late", "6")
	}}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	for _, tc := range []struct {
		path, match, want string
	}{{"/a", "", "5 6"}, {"/a", "", " "}, {"/b", `"other"`, "5 6"}, {"/b", "", " "}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tc.match != "" {
			r.Header.Set("If-None-Match", tc.match)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if got := res.Trailer.Get("X-Sum") + " " + res.Trailer.Get("X-Late"); got != tc.want || err != nil || string(body) != "hello" {
			t.Errorf("%s: trailers %q of %q, %v", tc.path, got, body, err)
		}
	}
}

// The controller's deadlines reach the connection, in a run that is recorded and in one that may be held.
func TestDeadlines(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		for _, err := range []error{rc.SetReadDeadline(time.Now().Add(minute)), rc.SetWriteDeadline(time.Now().Add(minute)), rc.EnableFullDuplex()} {
			if err != nil {
				t.Error(err)
			}
		}
		fmt.Fprint(w, "hello")
	}}
	s := listen(t, httpcache.Options{TTL: time.Millisecond, Keep: time.Hour}, o)
	expectMiss(t, s, "/a", "hello")
	expectMiss(t, s, "/b", "hello")
}

func TestHTTP2(t *testing.T) {
	o := file("Cache-Control", "max-age=60")
	s := httptest.NewUnstartedServer(newCache(t, httpcache.Options{}).Handler(o))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	expectMiss(t, s, "/a", digits)
	res := expectHit(t, s, "/a", digits)
	if res.ProtoMajor != 2 {
		t.Error(res.Proto)
	}
	o.expectRuns(t, 1)
}

// The body of a POST is the handler's.
func TestPOSTBody(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s, %v", body, err)
	}}
	for _, store := range []bool{false, true} {
		h := newCache(t, httpcache.Options{StorePosts: store}).Handler(o)
		r := httptest.NewRequest("POST", "/a", strings.NewReader("question"))
		expect(t, serve(h, r), 200, "http; fwd=method", "question, <nil>")
	}
}

// A handler that writes nothing answers with an empty 200, which isn't stored; and so it does where its answer may be held.
func TestWritesNothing(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Any", "1") }}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	for _, match := range []string{"", `"a"`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if match != "" {
			r.Header.Set("If-None-Match", match)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 || res.ContentLength != 0 || res.Header.Get("X-Any") != "1" || !strings.HasPrefix(res.Header.Get("Cache-Status"), missed) {
			t.Errorf("%d, %v", res.StatusCode, res.Header)
		}
	}
	o.expectRuns(t, 2)
}

// What a handler around the cache answers, where the one inside has written nothing, reaches the client: also where the fields that it
// has set would make a 304 of an answer. Frameworks answer so for an error that a handler returned.
func TestAnsweredAround(t *testing.T) {
	for _, fields := range [][]string{{"ETag", `"a"`}, {"Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"}, nil} {
		o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) { setFields(w.Header(), fields) }}
		h := newCache(t, httpcache.Options{TTL: minute}).Handler(o)
		around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			w.WriteHeader(http.StatusTeapot)
		})
		for _, condition := range [][]string{
			{"If-None-Match", `"a"`}, {"If-None-Match", "*"}, {"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"},
		} {
			if w := get(around, "/a", condition...); w.Code != http.StatusTeapot {
				t.Errorf("%v, %v: %d, %v", fields, condition, w.Code, w.Header())
			}
		}
	}
}

// Early hints go out at once, and leave nothing behind in an answer that is made of what is stored.
func TestEarlyHintsOfAHeldResponse(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		setFields(w.Header(), []string{"Link", "</x.css>; rel=preload", "Cache-Control", "max-age=10", "Age", "10"})
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("ETag", `"a"`)
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Del("Link")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Del("Link")
		fmt.Fprint(w, "hello")
	}}
	s := listen(t, httpcache.Options{}, o)
	expectMiss(t, s, "/a", "hello")
	res, body := fetch(t, s, "/a")
	if res.StatusCode != 200 || body != "hello" || res.Header.Get("Link") != "" {
		t.Errorf("%d, %v, %q", res.StatusCode, res.Header, body)
	}
	o.expectRuns(t, 2)
}
