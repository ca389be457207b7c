package httpcache_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// startOrigin starts a server for the test.
func startOrigin(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// client returns a client of the cache, whose connections end with the test.
func client(t testing.TB, c *httpcache.Cache) *http.Client {
	t.Helper()
	next := &http.Transport{}
	t.Cleanup(next.CloseIdleConnections)
	return &http.Client{Transport: c.Transport(next)}
}

// direct is a RoundTripper that runs a handler as the origin, without a network.
type direct struct{ origin http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	w := httptest.NewRecorder()
	d.origin.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// relay returns a handler that sends its requests through a RoundTripper, to the same host.
func relay(through http.RoundTripper) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.RequestURI = "http", r.Host, ""
		res, err := through.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	})
}

// fetched is a response that has been read.
type fetched struct {
	*http.Response
	body string
}

// send sends a request and reads the response.
func send(t testing.TB, c *http.Client, method, url string, fields ...string) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	setFields(r.Header, fields)
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{res, string(body)}
}

const hit = "http; hit"

// expectFetched checks a response's status, its Cache-Status without ttl and detail, and its body.
func expectFetched(t testing.TB, f fetched, status int, cacheStatus, body string) {
	t.Helper()
	got := f.Header.Get("Cache-Status")
	got, _, _ = strings.Cut(got, "; detail=")
	if got, _, _ = strings.Cut(got, "; ttl="); f.StatusCode != status || got != cacheStatus || f.body != body {
		t.Errorf("%d, %q, %.100q, want %d, %q, %.100q", f.StatusCode, got, f.body, status, cacheStatus, body)
	}
}

func TestTransport(t *testing.T) {
	o := text("hello", "Cache-Control", "max-age=60", "X-Any", "1", "X-Any", "2")
	c := client(t, newCache(t, httpcache.Options{}))
	url := startOrigin(t, o).URL + "/a?b=c"
	first := send(t, c, "GET", url)
	expectFetched(t, first, 200, stored, "hello")
	second := send(t, c, "GET", url)
	expectFetched(t, second, 200, hit, "hello")
	if second.Status != "200 OK" || second.ContentLength != 5 || second.Request.URL.String() != url || second.Header.Get("Age") == "" {
		t.Errorf("%+v", second.Response)
	}
	for name, values := range first.Header {
		if got := second.Header[name]; name != "Cache-Status" && (len(got) != len(values) || got[0] != values[0]) {
			t.Errorf("%s: %q, want %q", name, got, values)
		}
	}
	o.expectRuns(t, 1)
}
