package httpcache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

func isHit(w *httptest.ResponseRecorder) bool {
	return strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit")
}

// A change takes away what is stored of the URL, and of those that its answer names, if it was one.
func TestInvalidation(t *testing.T) {
	for _, tc := range []struct {
		name    string
		method  string
		status  int
		answer  []string
		removed string // of /a, /b?x=1, /c
	}{
		{"PUT", "PUT", 204, nil, "/a"},
		{"POST", "POST", 200, nil, "/a"},
		{"DELETE", "DELETE", 202, nil, "/a"},
		{"PATCH", "PATCH", 200, nil, "/a"},
		{"unknown", "FROB", 200, nil, "/a"},
		{"lower case", "get", 200, nil, "/a"},
		{"redirect", "POST", 303, []string{"Location", "/b?x=1"}, "/a"},
		{"redirect about another", "POST", 303, []string{"Content-Location", "/b?x=1"}, "/a /b?x=1"},
		{"both", "POST", 201, []string{"Location", "http://EXAMPLE.com:80/b?x=1#f", "Content-Location", "c"}, "/a /b?x=1 /c"},
		{"another origin", "POST", 201, []string{"Location", "http://example.org/b?x=1", "Content-Location", "http://example.com:81/c"}, "/a"},
		{"refused", "PUT", 409, []string{"Location", "/c"}, ""},
		{"failed", "PUT", 500, nil, ""},
		{"writes nothing", "PUT", 0, nil, "/a"},
		{"safe", "OPTIONS", 200, []string{"Location", "/c"}, ""},
		{"safe, too", "PROPFIND", 207, nil, ""},
		{"safe with a body", "QUERY", 200, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h http.Handler
			o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
				setFields(w.Header(), []string{"Cache-Control", "max-age=60"})
				if r.Method != tc.method {
					fmt.Fprint(w, "hello")
					return
				}
				setFields(w.Header(), tc.answer)
				if tc.status != 0 {
					w.WriteHeader(tc.status)
				}
			}}
			h = newCache(t, httpcache.Options{}).Handler(o)
			targets := []string{"/a", "/b?x=1", "/c"}
			for _, target := range targets {
				get(h, target)
			}
			serve(seeing{h, func() {
				if removed := strings.Contains(tc.removed, "/a"); isHit(get(h, "/a")) == removed {
					t.Error("/a when the answer is seen")
				}
			}}, request(tc.method, "/a"))
			for _, target := range targets[1:] {
				if removed := strings.Contains(tc.removed, target); isHit(get(h, target)) == removed {
					t.Errorf("%s: a hit: %v", target, !removed)
				}
			}
		})
	}
}

// seeing calls a function when the answer's head goes out, or when the handler returns without.
type seeing struct {
	http.Handler
	seen func()
}

func (s seeing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sw := &seeingWriter{ResponseWriter: w, seen: s.seen}
	s.Handler.ServeHTTP(sw, r)
	sw.see()
}

type seeingWriter struct {
	http.ResponseWriter
	seen func()
}

func (w *seeingWriter) see() {
	if seen := w.seen; seen != nil {
		w.seen = nil
		seen()
	}
}

func (w *seeingWriter) WriteHeader(status int) {
	w.see()
	w.ResponseWriter.WriteHeader(status)
}

// A URL in absolute form, or over TLS, is of its scheme; so are those that its answer names.
func TestInvalidationOfAnotherScheme(t *testing.T) {
	o := text("hello", "Cache-Control", "max-age=60", "Location", "/c")
	h := newCache(t, httpcache.Options{}).Handler(o)
	absolute := func(method, path string) *http.Request {
		r := request(method, path)
		r.URL.Scheme, r.URL.Host = "https", r.Host
		return r
	}
	serve(h, absolute("GET", "/c"))
	if w := get(h, "/c"); isHit(w) {
		t.Error("http has what https stored")
	}
	serve(h, absolute("POST", "/a"))
	if isHit(serve(h, absolute("GET", "/c"))) {
		t.Error("/c is still stored")
	}
}

// Who has seen the answer to a change in one process doesn't get the old in another, as soon as that has heard.
func TestInvalidationReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := versions("Cache-Control", "max-age=60")
	first := newCache(t, httpcache.Options{Redis: connect(t, server)})
	second := newCache(t, httpcache.Options{Redis: connect(t, server)})
	get(first.Handler(o), "/a")
	if w := get(second.Handler(o), "/a"); !isHit(w) {
		t.Errorf("%v", w.Header())
	}
	serve(first.Handler(o), request("PUT", "/a"))
	observe.Until(t, "the response", func() bool { return get(second.Handler(o), "/a").Body.String() == "version 3" })
	if w := get(first.Handler(o), "/a"); w.Body.String() != "version 3" {
		t.Errorf("%q", w.Body)
	}
}

// A POST whose answer says that it is what a GET would bring is stored; any other removes.
func TestStorePosts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		off    bool
		answer []string
		hit    bool
	}{
		{"stored", false, []string{"Content-Location", "/a", "Cache-Control", "max-age=60"}, true},
		{"off", true, []string{"Content-Location", "/a", "Cache-Control", "max-age=60"}, false},
		{"of another", false, []string{"Content-Location", "/b", "Cache-Control", "max-age=60"}, false},
		{"silent", false, []string{"Content-Location", "/a"}, false},
		{"private", false, []string{"Content-Location", "/a", "Cache-Control", "max-age=60, private"}, false},
		{"varies", false, []string{"Content-Location", "/a", "Cache-Control", "max-age=60", "Vary", "Cookie"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newCache(t, httpcache.Options{TTL: minute, StorePosts: !tc.off}).Handler(text("posted", tc.answer...))
			serve(h, request("POST", "/a"))
			if w := get(h, "/a"); isHit(w) != tc.hit || w.Body.String() != "posted" {
				t.Errorf("%v, %q", w.Header(), w.Body)
			}
		})
	}
}
