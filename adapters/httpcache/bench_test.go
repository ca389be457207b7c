package httpcache_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// discard is a ResponseWriter that costs next to nothing, used for one request after the other.
type discard struct{ header http.Header }

func (w discard) Header() http.Header         { return w.header }
func (w discard) Write(p []byte) (int, error) { return len(p), nil }
func (w discard) WriteHeader(int)             {}

// bare is a handler that has its bytes ready.
func bare(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}

var sizes = map[string]int{"3KB": 3 << 10, "300KB": 300 << 10}

func BenchmarkHandlerHit(b *testing.B) {
	for _, size := range []string{"3KB", "300KB"} {
		origin := bare(bytes.Repeat([]byte("x"), sizes[size]))
		c := newCache(b, httpcache.Options{TTL: time.Hour})
		for _, impl := range []struct {
			name    string
			handler http.Handler
			fields  []string
		}{
			{"bare", origin, nil},
			{"tiercache", c.Handler(origin), nil},
			{"tiercache304", c.Handler(origin), []string{"If-None-Match", "*"}},
		} {
			b.Run(fmt.Sprintf("size=%s/impl=%s", size, impl.name), func(b *testing.B) {
				r := request("GET", "/api/v1/users?skip=0&limit=20", impl.fields...)
				w := discard{make(http.Header)}
				impl.handler.ServeHTTP(w, r)
				b.ReportAllocs()
				for b.Loop() {
					impl.handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

// BenchmarkHandlerMiss is what the cache adds to an answer that it can't store, and to one that it stores.
func BenchmarkHandlerMiss(b *testing.B) {
	origin := bare(bytes.Repeat([]byte("x"), sizes["3KB"]))
	silent := newCache(b, httpcache.Options{})
	storing := newCache(b, httpcache.Options{TTL: time.Hour})
	for _, impl := range []struct {
		name    string
		handler http.Handler
	}{
		{"bare", origin},
		{"tiercache-not-stored", silent.Handler(origin)},
		{"tiercache-stored", storing.Handler(origin)},
	} {
		b.Run("impl="+impl.name, func(b *testing.B) {
			r := request("GET", "/")
			w := discard{make(http.Header)}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				r.URL.RawQuery = strconv.Itoa(n)
				clear(w.header)
				impl.handler.ServeHTTP(w, r)
			}
		})
	}
}

// ready is a RoundTripper that has its response ready, and copies its header.
func ready(body []byte) http.RoundTripper {
	header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}, "Cache-Control": {"max-age=3600"}}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: header.Clone(), Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	})
}

// BenchmarkTransportHit compares a hit of a client with a response that is ready (copied: its header map and a reader of its
// body), and with a server on the loopback interface.
func BenchmarkTransportHit(b *testing.B) {
	body := bytes.Repeat([]byte("x"), sizes["3KB"])
	copied := ready(body)
	server := startOrigin(b, bare(body))
	next := &http.Transport{}
	b.Cleanup(next.CloseIdleConnections)
	for _, impl := range []struct {
		name      string
		transport http.RoundTripper
		fields    []string
	}{
		{"copied", copied, nil},
		{"tiercache", newCache(b, httpcache.Options{}).Transport(copied), nil},
		{"tiercache-private", newCache(b, httpcache.Options{Private: true}).Transport(copied), nil},
		{"tiercache-credentials", newCache(b, httpcache.Options{Private: true}).Transport(copied), []string{"Authorization", "Bearer 0123456789"}},
		{"loopback", next, nil},
	} {
		b.Run("impl="+impl.name, func(b *testing.B) {
			r, _ := http.NewRequestWithContext(b.Context(), "GET", server.URL+"/api/v1/users?skip=0&limit=20", nil)
			setFields(r.Header, impl.fields)
			b.ReportAllocs()
			for b.Loop() {
				res, err := impl.transport.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
}
