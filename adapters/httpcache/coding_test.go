package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// compressing is an origin that compresses where it may, and says Vary only then, as chi's middleware and gin's do.
func compressing() *origin {
	return &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			setFields(w.Header(), []string{"Content-Encoding", "gzip", "Vary", "Accept-Encoding"})
			fmt.Fprint(w, "(coded)")
			return
		}
		fmt.Fprint(w, "plain")
	}}
}

// Where a response is known to vary, one that doesn't say so is for requests like its own.
func TestVarySaidSometimes(t *testing.T) {
	o := compressing()
	h := newCache(t, httpcache.Options{}).Handler(o)
	expect(t, get(h, "/a", "Accept-Encoding", "gzip"), 200, stored, "(coded)")
	for range 3 {
		for _, tc := range [][2]string{{"", "plain"}, {"br", "plain"}, {"deflate", "plain"}, {"gzip", "(coded)"}} {
			var fields []string
			if tc[0] != "" {
				fields = []string{"Accept-Encoding", tc[0]}
			}
			if w := get(h, "/a", fields...); w.Body.String() != tc[1] {
				t.Errorf("%q: %v, %q", tc[0], w.Header(), w.Body)
			}
		}
	}
	o.expectRuns(t, 4)
}

// A response that varies by nothing is served to all until another one is stored: the cache can't know that there is a better one
// (RFC 9111 §4.1). With Encodings it knows.
func TestPlainFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t, httpcache.Options{}).Handler(compressing())
		expect(t, get(h, "/a"), 200, stored, "plain")
		expect(t, get(h, "/a", "Accept-Encoding", "gzip"), 200, "http; hit; ttl=60", "plain")

		o := compressing()
		h = newCache(t, httpcache.Options{Encodings: []string{"gzip"}}).Handler(o)
		expect(t, get(h, "/a"), 200, stored, "plain")
		for _, accepted := range []string{"gzip", "br, gzip", "gzip;q=0.5"} {
			if w := get(h, "/a", "Accept-Encoding", accepted); w.Body.String() != "(coded)" {
				t.Errorf("%q: %v, %q", accepted, w.Header(), w.Body)
			}
		}
		for _, accepted := range []string{"br", "identity", "gzip;q=0"} {
			expect(t, get(h, "/a", "Accept-Encoding", accepted), 200, "http; hit; ttl=60", "plain")
		}
		o.expectRuns(t, 2)

		// One that isn't coded for anybody is served to all, if it was made for a request that takes a coding.
		o = file("Cache-Control", "max-age=60")
		h = newCache(t, httpcache.Options{Encodings: []string{"gzip"}}).Handler(o)
		expect(t, get(h, "/a", "Accept-Encoding", "gzip"), 200, stored, digits)
		expect(t, get(h, "/a"), 200, "http; hit; ttl=60", digits)
		o.expectRuns(t, 1)
	})
}

// A handler around the cache that codes the answer codes no part of what is stored: that would be no part of what the client
// has.
func TestPartOfWhatIsCodedAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := file("Cache-Control", "max-age=60", "ETag", `"strong"`)
		h := newCache(t, httpcache.Options{}).Handler(o)
		coding := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			h.ServeHTTP(w, r)
		})
		get(h, "/a")
		expect(t, get(h, "/a", "Range", "bytes=2-4"), 206, "http; hit; ttl=60", digits[2:5])
		expect(t, get(coding, "/a", "Range", "bytes=2-4", "If-Range", `"strong"`), 200, "http; fwd=bypass", digits)
		expect(t, get(coding, "/a"), 200, "http; hit; ttl=60", digits)
	})
}

// Cache-Status says why a response isn't stored.
func TestDetail(t *testing.T) {
	for want, handler := range map[string]http.HandlerFunc{
		"stale":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=0") },
		"around": func(w http.ResponseWriter, _ *http.Request) { w.Header().Del("X-Around") },
		"too-long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("long", 100))
		},
		"incomplete": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "short")
		},
		"no-store": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "no-store") },
	} {
		t.Run(want, func(t *testing.T) {
			h := newCache(t, httpcache.Options{TTL: minute, MaxBody: 100}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler(w, r)
				w.WriteHeader(http.StatusOK)
			}))
			around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Around", "1")
				h.ServeHTTP(w, r)
			})
			if got := get(around, "/a").Header().Get("Cache-Status"); got != missed+"; detail="+want {
				t.Errorf("%q, want detail=%s", got, want)
			}
		})
	}
}
