package httpcache_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// checkedBody is a request's body that knows whether it is closed.
type checkedBody struct {
	io.Reader
	closed atomic.Bool
}

func (b *checkedBody) Close() error {
	b.closed.Store(true)
	return nil
}

var errDown = errors.New("no route to the origin")

// RoundTrip doesn't change the request, closes its body, and returns the request with the response. It returns the errors of next.
func TestTransportContract(t *testing.T) {
	o := text("hello", "Cache-Control", "max-age=60", "ETag", `"v1"`)
	rt := newCache(t, httpcache.Options{Private: true}).Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			defer r.Body.Close()
		}
		if r.Header.Get("X-Down") != "" {
			return nil, errDown
		}
		r.Header.Set("X-By-Next", "1") // it mustn't, but the client's request is another one for what is stored
		return direct{o}.RoundTrip(r)
	}))
	for _, tc := range []struct {
		method, body string
		fields       []string
		fails        bool
	}{
		{"GET", "", nil, false}, {"GET", "", nil, false}, {"GET", "", []string{"If-None-Match", `"v1"`, "Range", "bytes=0-1"}, false},
		{"GET", "", []string{"Cache-Control", "no-cache", "If-None-Match", `"v2"`}, false}, {"HEAD", "", nil, false},
		{"GET", "", []string{"Cache-Control", "no-cache", "X-Down", "1"}, true},
		{"GET", "body", []string{"X-Down", "1"}, true}, {"POST", "body", []string{"X-Down", "1"}, true}, {"PUT", "", []string{"X-Down", "1"}, true},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), tc.method, api, nil)
		var body *checkedBody
		if tc.body != "" {
			body = &checkedBody{Reader: strings.NewReader(tc.body)}
			r.Body = body
		}
		setFields(r.Header, tc.fields)
		before, header := *r, maps.Clone(r.Header)
		res, err := rt.RoundTrip(r)
		if tc.fails != (err != nil) || tc.fails && err != errDown {
			t.Errorf("%s %v: error %v", tc.method, tc.fields, err)
		}
		if before.URL != r.URL || before.Host != r.Host || before.Method != r.Method || !maps.EqualFunc(header, r.Header, slices.Equal) {
			t.Errorf("%s %v: the request was changed: %v", tc.method, tc.fields, r)
		}
		if body != nil && !body.closed.Load() {
			t.Errorf("%s %v: the body isn't closed", tc.method, tc.fields)
		}
		if err != nil {
			continue
		}
		if res.Request != r {
			t.Errorf("%s %v: another Request", tc.method, tc.fields)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		if n, err := res.Body.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s %v: a Read after Close: %d, %v", tc.method, tc.fields, n, err)
		}
	}
	for _, r := range []*http.Request{{Method: "GET", Header: http.Header{}}, {Method: "GET", URL: &url.URL{Scheme: "http", Host: "api.example"}}} {
		if res, err := newCache(t, httpcache.Options{}).Transport(nil).RoundTrip(r); err == nil {
			t.Errorf("an incomplete request: %v", res)
		}
	}
}

// A transport decodes gzip if it asked for it. Then the decoded body is stored. If the caller asked, the encoded one is.
func TestTransportGzip(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			_, _ = io.WriteString(w, "identity")
			return
		}
		w.Header().Set("Content-Encoding", "gzip") // without Vary, which some origins forget
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "hello")
		_ = z.Close()
	}}
	c := client(t, newCache(t, httpcache.Options{Private: true}))
	url := startOrigin(t, o).URL
	first := send(t, c, "GET", url+"/decoded")
	if first.body != "hello" || !first.Uncompressed || first.ContentLength != -1 {
		t.Errorf("%+v", first)
	}
	second := send(t, c, "GET", url+"/decoded")
	expectFetched(t, second, 200, hit, "hello")
	if second.ContentLength != 5 || second.Header.Get("Content-Encoding") != "" {
		t.Errorf("%+v", second)
	}
	encoded := send(t, c, "GET", url+"/encoded", "Accept-Encoding", "gzip")
	if encoded.Header.Get("Content-Encoding") != "gzip" || encoded.body == "hello" {
		t.Errorf("%+v", encoded)
	}
	expectFetched(t, send(t, c, "GET", url+"/encoded", "Accept-Encoding", "gzip"), 200, hit, encoded.body)
	if decoded := send(t, c, "GET", url+"/encoded"); decoded.body != "hello" {
		t.Errorf("an encoded response to a caller that doesn't expect it: %+v, %q", decoded.Response, decoded.body)
	}
}

// Redirects, cookies, trailers, 1xx and 101 responses are as without a cache.
func TestTransportClient(t *testing.T) {
	mux := http.NewServeMux()
	o := &origin{handler: mux.ServeHTTP}
	mux.HandleFunc("/old", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		http.Redirect(w, r, "/new", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/new", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "1")
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	})
	url := startOrigin(t, o).URL
	c := client(t, newCache(t, httpcache.Options{Private: true}))
	c.Jar, _ = cookiejar.New(nil)
	expectFetched(t, send(t, c, "GET", url+"/old"), 200, stored, "")
	for _, want := range []string{stored, hit} { // with the cookie it is another user's response
		expectFetched(t, send(t, c, "GET", url+"/old"), 200, want, "session=1")
	}
	for _, want := range []string{"1", ""} {
		if f := send(t, c, "GET", url+"/trailers", "Cookie", "a=b"); f.Trailer.Get("X-Sum") != want || f.body != "hello" {
			t.Errorf("trailers %v, want %q", f.Trailer, want)
		}
	}
	early := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		early = code
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, "GET", url+"/early", nil)
	if res, err := c.Do(r); err != nil || early != 103 || res.Body.Close() != nil {
		t.Errorf("%d, %v", early, err)
	}
	r, _ = http.NewRequestWithContext(t.Context(), "GET", url+"/upgrade", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	res, err := c.Do(r)
	if err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	conn := res.Body.(io.ReadWriter)
	_, _ = io.WriteString(conn, "ping\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "ping\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// A long body, or one that can't be stored, is read as it is made.
func TestTransportStreams(t *testing.T) {
	const limit = 64 << 10
	for _, tc := range []struct {
		control string
		length  int
	}{{"max-age=60", limit - 1}, {"max-age=60", limit}, {"max-age=60", 3 * limit}, {"no-store", 10}} {
		gate := make(chan struct{})
		body := bytes.Repeat([]byte("x"), tc.length)
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", tc.control)
			_, _ = w.Write(body)
			w.(http.Flusher).Flush()
			<-gate
			_, _ = io.WriteString(w, "z")
		}}
		c := client(t, newCache(t, httpcache.Options{Private: true, MaxBody: limit}))
		url := startOrigin(t, o).URL
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, tc.length)
		if _, err := io.ReadFull(res.Body, got); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: %v", tc.length, err)
		}
		close(gate)
		if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "z" {
			t.Errorf("%d bytes: then %q, %v", tc.length, rest, err)
		}
		_ = res.Body.Close()
		second := send(t, c, "GET", url)
		if isHit := strings.HasPrefix(second.Header.Get("Cache-Status"), hit); isHit != (tc.control != "no-store" && tc.length < limit) {
			t.Errorf("%s, %d bytes: %v", tc.control, tc.length, second.Header)
		}
	}
}

// A broken body isn't stored, and its error is that of next.
func TestTransportBrokenBody(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "hello")
	}}
	c := client(t, newCache(t, httpcache.Options{Private: true}))
	url := startOrigin(t, o).URL
	for range 2 {
		res, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); string(body) != "hello" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q, %v", body, err)
		}
		_ = res.Body.Close()
	}
	o.expectRuns(t, 2)
}

// A panic of next reaches the caller; its runtime.Goexit is an error.
func TestTransportPanic(t *testing.T) {
	rt := newCache(t, httpcache.Options{Private: true, Logger: silent()}).Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		panic("next")
	}))
	r, _ := http.NewRequestWithContext(t.Context(), "GET", api, nil)
	func() {
		defer func() {
			if p := recover(); fmt.Sprint(p) != "next" {
				t.Errorf("panicked with %v", p)
			}
		}()
		_, _ = rt.RoundTrip(r)
	}()
	ended := newCache(t, httpcache.Options{}).Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		runtime.Goexit()
		return nil, nil
	}))
	if res, err := ended.RoundTrip(r); err == nil || !strings.HasPrefix(err.Error(), "httpcache: ") {
		t.Errorf("after a Goexit: %v, %v", res, err)
	}
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errDown)
	if _, err := rt.RoundTrip(r.WithContext(cancelled)); !errors.Is(err, errDown) {
		t.Errorf("after the context: %v", err)
	}
}
