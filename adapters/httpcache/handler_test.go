package httpcache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// listen serves a handler behind a cache on loopback.
func listen(t *testing.T, o httpcache.Options, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(newCache(t, o).Handler(h))
	t.Cleanup(s.Close)
	return s
}

// fetch sends a GET with header fields to a server and returns the answer with its whole body.
func fetch(t *testing.T, s *httptest.Server, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	setFields(r.Header, fields)
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func expectHit(t *testing.T, s *httptest.Server, path, body string) *http.Response {
	t.Helper()
	res, got := fetch(t, s, path)
	if status := res.Header.Get("Cache-Status"); !strings.HasPrefix(status, "http; hit") || got != body {
		t.Errorf("%s, %.100q, want a hit with %.100q", status, got, body)
	}
	return res
}

func expectMiss(t *testing.T, s *httptest.Server, path, body string) *http.Response {
	t.Helper()
	res, got := fetch(t, s, path)
	if status := res.Header.Get("Cache-Status"); !strings.HasPrefix(status, missed) || got != body {
		t.Errorf("%s, %.100q, want a miss with %.100q", status, got, body)
	}
	return res
}

// What was flushed arrives before the handler ends, and the whole is stored.
func TestStreaming(t *testing.T) {
	for name, flush := range map[string]func(http.ResponseWriter) error{
		"Flusher":    func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"controller": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan struct{})
			o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintln(w, "one")
				if err := flush(w); err != nil {
					t.Error(err)
				}
				<-read
				fmt.Fprintln(w, "two")
			}}
			s := listen(t, httpcache.Options{TTL: minute}, o)
			res, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body := bufio.NewReader(res.Body)
			if line, err := body.ReadString('\n'); err != nil || line != "one\n" {
				t.Fatalf("%q, %v", line, err)
			}
			close(read)
			if rest, err := io.ReadAll(body); err != nil || string(rest) != "two\n" {
				t.Errorf("%q, %v", rest, err)
			}
			hit := expectHit(t, s, "/", "one\ntwo\n")
			if hit.ContentLength != 8 {
				t.Errorf("Content-Length %d", hit.ContentLength)
			}
			o.expectRuns(t, 1)
		})
	}
}

// Each way to write a body, at, above and below the limit.
func TestBodyLimit(t *testing.T) {
	const limit = 100_000
	for name, write := range map[string]func(w http.ResponseWriter, body []byte){
		"Write": func(w http.ResponseWriter, body []byte) { _, _ = w.Write(body) },
		"small writes": func(w http.ResponseWriter, body []byte) {
			for len(body) > 0 {
				n, _ := w.Write(body[:min(len(body), 7777)])
				body = body[n:]
			}
		},
		"Content-Length": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		},
		"io.Copy": func(w http.ResponseWriter, body []byte) { _, _ = io.Copy(w, onlyReader{bytes.NewReader(body)}) },
		"io.Copy after the header": func(w http.ResponseWriter, body []byte) {
			w.WriteHeader(http.StatusOK)
			_, _ = io.Copy(w, onlyReader{bytes.NewReader(body)})
		},
		"controller and io.Copy": func(w http.ResponseWriter, body []byte) {
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				panic(err)
			}
			_, _ = io.Copy(w, onlyReader{bytes.NewReader(body)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var body []byte
			o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) { write(w, body) }}
			s := listen(t, httpcache.Options{TTL: minute, MaxBody: limit}, o)
			body = bytes.Repeat([]byte("x"), limit)
			expectMiss(t, s, "/at", string(body))
			expectHit(t, s, "/at", string(body))
			o.expectRuns(t, 1)
			body = append(body, 'y')
			expectMiss(t, s, "/above", string(body))
			expectMiss(t, s, "/above", string(body))
			o.expectRuns(t, 3)
		})
	}
}

// onlyReader hides the WriteTo that io.Copy would prefer.
type onlyReader struct{ io.Reader }

func TestInformationalResponses(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, "hello")
	}}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	var hints []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, code)
			if h.Get("Link") == "" || h.Get("Cache-Status") != "" {
				t.Errorf("%d: %v", code, h)
			}
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || len(hints) != 1 || hints[0] != 103 {
		t.Errorf("%d, %v", res.StatusCode, hints)
	}
	if hit := expectHit(t, s, "/", "hello"); hit.Header.Get("Link") != "" {
		t.Error("the hints are stored")
	}
}

// Each handler answers the same with the cache, miss and hit, and without it.
func TestAnswersAsWithoutTheCache(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"implicit 200":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"nothing":            func(http.ResponseWriter, *http.Request) {},
		"only a header":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Any", "1") },
		"only WriteHeader":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) },
		"empty write":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) },
		"sniffed":            func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html><body>") },
		"sniffed over parts": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<ht"); fmt.Fprint(w, "ml>") },
		"not sniffed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "<html>")
		},
		"encoded, not sniffed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "x-any")
			fmt.Fprint(w, "<html>")
		},
		"header after the body": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
			w.Header().Set("X-Late", "1")
		},
		"error then nothing from io.Copy": func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.Copy(w, brokenReader{}); err != nil {
				http.Error(w, "broken", http.StatusBadGateway)
			}
		},
		"204":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"304":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", `"a"`); w.WriteHeader(304) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) },
		"header twice": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			w.WriteHeader(200)
			fmt.Fprint(w, "made")
		},
		"trailer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
			fmt.Fprint(w, "hello")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bare := httptest.NewUnstartedServer(h)
			bare.Config.ErrorLog = quiet()
			bare.Start()
			defer bare.Close()
			cached := httptest.NewUnstartedServer(newCache(t, httpcache.Options{TTL: minute}).Handler(h))
			cached.Config.ErrorLog = quiet()
			cached.Start()
			defer cached.Close()
			bare.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			cached.Client().CheckRedirect = bare.Client().CheckRedirect
			want, wantBody := fetch(t, bare, "/")
			for range 3 {
				got, body := fetch(t, cached, "/")
				if got.StatusCode != want.StatusCode || body != wantBody {
					t.Errorf("%d, %q, want %d, %q", got.StatusCode, body, want.StatusCode, wantBody)
				}
				for _, name := range []string{"Content-Type", "Content-Encoding", "Location", "X-Any", "X-Late"} {
					if g, w := got.Header[name], want.Header[name]; strings.Join(g, "|") != strings.Join(w, "|") {
						t.Errorf("%s: %q, want %q", name, g, w)
					}
				}
				if got.Header.Get("Date") == "" {
					t.Error("no Date")
				}
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// An aborted response reaches the client as aborted, and isn't stored.
func TestAbortOnTheWire(t *testing.T) {
	o := &origin{}
	o.handler = func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
		if o.runs.Load() == 1 {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	res, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the client took the half for the whole")
	}
	res.Body.Close()
	expectMiss(t, s, "/", "hello")
	expectHit(t, s, "/", "hello")
}

func TestClientLeavesMidway(t *testing.T) {
	ended := make(chan struct{})
	o := &origin{}
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "half ")
		if o.runs.Load() == 1 {
			defer close(ended)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "whole")
	}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	res.Body.Close()
	<-ended
	for range 3 {
		if _, body := fetch(t, s, "/"); body != "half whole" {
			t.Errorf("%q", body)
		}
	}
}

func TestWebSocketPasses(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = buf.Flush()
		line, _ := buf.ReadString('\n')
		fmt.Fprint(buf, line)
		_ = buf.Flush()
	}}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping\n")
	all, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 101 ") || !strings.HasSuffix(string(all), "\r\n\r\nping\n") {
		t.Errorf("%q, %v", all, err)
	}
}

// A caching handler around a caching handler: both say what they did, the one next to the origin first.
func TestCacheStatusChain(t *testing.T) {
	inner := newCache(t, httpcache.Options{Name: "inner", TTL: minute})
	outer := newCache(t, httpcache.Options{Name: "outer", TTL: minute})
	backend := httptest.NewServer(inner.Handler(text("hello")))
	defer backend.Close()
	h := outer.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		res, body := fetch(t, backend, "/")
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		fmt.Fprint(w, body)
	}))
	for _, want := range []string{
		"inner; fwd=uri-miss; stored|outer; fwd=uri-miss; stored",
		"inner; fwd=uri-miss; stored|outer; hit; ttl=",
	} {
		got := strings.Join(get(h, "/").Header()["Cache-Status"], "|")
		if !strings.HasPrefix(got, want) || strings.Count(got, "|") != 1 {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
