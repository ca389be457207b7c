package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m,
		// fasthttp updates the Date field in a goroutine that never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// A stopped server's pool ends up to ten seconds later.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// onEach runs a test on net/http and on Fiber.
func onEach(t *testing.T, test func(t *testing.T, flags ...string)) {
	t.Run("nethttp", func(t *testing.T) { test(t) })
	t.Run("fiber", func(t *testing.T) { test(t, "-fiber") })
}

// runs starts a proxy for the handler, until the test ends.
func runs(t *testing.T, origin http.HandlerFunc, flags ...string) (url string) {
	t.Helper()
	server := httptest.NewServer(origin)
	t.Cleanup(server.Close)
	return before(t, server.URL, flags...)
}

func before(t *testing.T, origin string, flags ...string) (url string) {
	t.Helper()
	t.Setenv("REDIS_URL", "")
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-listen", "127.0.0.1:0", "-origin", origin}, flags...), write)
		ended <- errors.Join(err, write.CloseWithError(err))
	}()
	lines := bufio.NewReader(read)
	line, err := lines.ReadString('\n')
	if err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		said, _ := io.ReadAll(lines)
		if err := <-ended; err != nil || string(said) != "Stopping.\n" {
			t.Errorf("run: %v; the end of its output: %q", err, said)
		}
	})
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
}

type answer struct {
	*http.Response
	body string
}

// do makes a request; fields are header fields, like "Accept: text/html".
func do(t *testing.T, method, url, body string, fields ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	r.Host = r.Header.Get("Host")
	response, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	must(t, err)
	return answer{response, string(got)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHit(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		served := 0
		url := runs(t, func(w http.ResponseWriter, r *http.Request) {
			served++
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprintf(w, "%d for %s", served, r.URL)
		}, flags...)
		for i, want := range []string{"proxy; fwd=uri-miss", "proxy; hit"} {
			got := do(t, http.MethodGet, url+"/items?limit=3", "")
			if got.StatusCode != http.StatusOK || got.body != "1 for /items?limit=3" {
				t.Errorf("request %d: %s, %q", i+1, got.Status, got.body)
			}
			if s := got.Header.Get("Cache-Status"); !strings.HasPrefix(s, want) {
				t.Errorf("request %d: Cache-Status is %q, want %s", i+1, s, want)
			}
		}
	})
}

func TestRedisIsShared(t *testing.T) {
	server := redistest.Start(t)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "text") }))
	t.Cleanup(origin.Close)
	flags := []string{"-ttl", "1m", "-redis", "redis://" + server.Addr()}
	first, second := before(t, origin.URL, flags...), before(t, origin.URL, append(flags, "-fiber")...)
	do(t, http.MethodGet, first, "", "Host: example.com")
	got := do(t, http.MethodGet, second, "", "Host: example.com")
	if s := got.Header.Get("Cache-Status"); got.body != "text" || !strings.HasPrefix(s, "proxy; hit") {
		t.Errorf("the other proxy: %q, Cache-Status %q, want a hit", got.body, s)
	}
}

func TestForwarded(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		url := runs(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			h := w.Header()
			h.Set("Connection", "X-Hop")
			h.Set("X-Hop", "of the origin")
			h.Add("Set-Cookie", "a=1")
			h.Add("Set-Cookie", "b=2")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, "%s %s %s %s hop=%q forged=%q host=%s for=%s", r.Method, r.URL, r.Host, body, r.Header.Get("X-Hop"),
				r.Header.Get("Forwarded"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-For"))
		}, flags...)
		host := strings.TrimPrefix(url, "http://")
		for _, method := range []string{http.MethodPost, http.MethodDelete, "PROPFIND"} {
			got := do(t, method, url+"/a%2Fb?q=%20", "text", "Connection: X-Hop", "X-Hop: of the client", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4")
			want := fmt.Sprintf(`%s /a%%2Fb?q=%%20 %s text hop="" forged="" host=%s for=127.0.0.1`, method, host, host)
			if got.StatusCode != http.StatusCreated || got.body != want {
				t.Errorf("%s: %s, %q, want %q", method, got.Status, got.body, want)
			}
			if cookies := got.Header["Set-Cookie"]; len(cookies) != 2 || got.Header.Get("X-Hop") != "" {
				t.Errorf("%s: the header is %v", method, got.Header)
			}
		}
	})
}

// The origin's Vary refers to the fields that it received, which the proxy sets, not the client.
func TestVaryOfForwarded(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		url := runs(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-Forwarded-For, X-Forwarded-Proto")
			fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Proto"))
		}, flags...)
		for i, want := range []string{"proxy; fwd=uri-miss; stored", "proxy; hit"} {
			got := do(t, http.MethodGet, url+"/a", "", fmt.Sprint("X-Forwarded-For: 1.2.3.", i), "X-Forwarded-Proto: https")
			if s := got.Header.Get("Cache-Status"); !strings.HasPrefix(s, want) || got.body != "127.0.0.1 http" {
				t.Errorf("request %d: %q, Cache-Status %q, want %s", i, got.body, s, want)
			}
		}
	})
}

func TestHost(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		url := runs(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }, append(flags, "-host", "example.com")...)
		if got := do(t, http.MethodGet, url, ""); got.body != "example.com" {
			t.Errorf("the origin was asked for %q", got.body)
		}
	})
}

func TestHead(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		url := runs(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1234") }, flags...)
		if got := do(t, http.MethodHead, url, ""); got.ContentLength != 1234 || got.body != "" {
			t.Errorf("Content-Length is %d, want 1234", got.ContentLength)
		}
	})
}

func TestDateIsTheOrigins(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		date := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
		url := runs(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", date) }, flags...)
		if got := do(t, http.MethodGet, url, "").Header["Date"]; len(got) != 1 || got[0] != date {
			t.Errorf("Date is %q, want %q", got, date)
		}
	})
}

// A compressed body passes unchanged, and the proxy doesn't ask for compression unless the client does.
func TestCodingIsTheClients(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		url := runs(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				fmt.Fprint(w, "plain")
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			fmt.Fprint(z, "small")
		}, flags...)
		if got := do(t, http.MethodGet, url, "", "Accept-Encoding: gzip"); got.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(got.body, "\x1f\x8b") {
			t.Errorf("gzip: Content-Encoding is %q, the body %q", got.Header.Get("Content-Encoding"), got.body)
		}
		if got := do(t, http.MethodGet, url+"/2", "", "Accept-Encoding: identity"); got.body != "plain" {
			t.Errorf("identity: the body is %q", got.body)
		}
	})
}

func TestLongBodies(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		url := runs(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if r.URL.Path == "/known" {
				w.Header().Set("Content-Length", fmt.Sprint(maxCollect+2))
			}
			_, _ = w.Write(make([]byte, maxCollect+1))
			fmt.Fprint(w, "!")
		}, flags...)
		for _, path := range []string{"/known", "/unknown"} {
			if got := do(t, http.MethodGet, url+path, ""); len(got.body) != maxCollect+2 || got.body[maxCollect+1] != '!' {
				t.Errorf("%s: %d bytes, want %d", path, len(got.body), maxCollect+2)
			}
		}
	})
}

// A body that is sent in parts arrives in parts: the origin sends the second when the client has the first.
func TestLiveBody(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		arrived := make(chan struct{})
		url := runs(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "one")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-arrived:
				fmt.Fprint(w, "two")
			case <-r.Context().Done():
			case <-time.After(30 * time.Second):
			}
		}, flags...)
		response, err := http.Get(url)
		must(t, err)
		defer response.Body.Close()
		part := make([]byte, 3)
		_, err = io.ReadFull(response.Body, part)
		must(t, err)
		close(arrived)
		if rest, err := io.ReadAll(response.Body); err != nil || string(part)+string(rest) != "onetwo" {
			t.Errorf("%q, then %q, %v", part, rest, err)
		}
	})
}

func TestDeadOrigin(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		server := httptest.NewServer(nil)
		server.Close()
		got := do(t, http.MethodGet, before(t, server.URL, flags...), "")
		if got.StatusCode != http.StatusBadGateway || got.body != "Bad Gateway\n" {
			t.Errorf("%s, %q, want 502", got.Status, got.body)
		}
		if got.Header.Get("Date") == "" {
			t.Error("no Date")
		}
	})
}

// The hints of a miss reach the client at once, before the response. A hit has none.
func TestEarlyHints(t *testing.T) {
	onEach(t, func(t *testing.T, flags ...string) {
		seen := make(chan struct{})
		url := runs(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusProcessing) // fasthttp can't send it
			w.Header()["Link"] = []string{"</a.css>; rel=preload", "</b.css>; rel=preload"}
			w.WriteHeader(http.StatusEarlyHints)
			<-seen
			w.Header().Del("Link")
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "page")
		}, flags...)
		get := func() (hints []string, got answer) {
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints {
					hints = append(hints, h["Link"]...)
					close(seen)
				}
				return nil
			}})
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			must(t, err)
			response, err := http.DefaultClient.Do(r)
			must(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			must(t, err)
			return hints, answer{response, string(body)}
		}
		for _, want := range []struct{ hints, status string }{
			{"[</a.css>; rel=preload </b.css>; rel=preload]", "proxy; fwd=uri-miss; stored"}, {"[]", "proxy; hit"},
		} {
			hints, got := get()
			if s := got.Header.Get("Cache-Status"); fmt.Sprint(hints) != want.hints || got.body != "page" || !strings.HasPrefix(s, want.status) {
				t.Errorf("%q, then %q, Cache-Status %q, want %v", hints, got.body, s, want)
			}
			if links := got.Header["Link"]; len(links) > 0 {
				t.Errorf("the hints are in the answer, too: %q", links)
			}
		}
	})
}

// A client of HTTP/1.0 doesn't know 1xx responses. (net/http sends them all the same.)
func TestEarlyHintsOfHTTP10(t *testing.T) {
	url := runs(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "page")
	}, "-fiber")
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	must(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if must(t, err); !strings.Contains(line, " 200 ") {
		t.Errorf("the first line is %q", line)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	for name, args := range map[string][]string{
		"no origin":                     {},
		"an unknown flag":               {"-nope"},
		"an argument":                   {"-origin", "http://localhost:1", "nope"},
		"an origin without a scheme":    {"-origin", "localhost:8000"},
		"an origin that isn't HTTP":     {"-origin", "ftp://localhost"},
		"an origin without a host":      {"-origin", "http:///path"},
		"an origin with a query":        {"-origin", "http://localhost?a=b"},
		"an origin with a password":     {"-origin", "http://a:b@localhost"},
		"a wrong address":               {"-origin", "http://localhost:1", "-listen", "localhost:-1"},
		"a wrong Redis URL":             {"-origin", "http://localhost:1", "-redis", "localhost"},
		"a negative TTL":                {"-origin", "http://localhost:1", "-ttl", "-1s"},
		"a wrong address, and on Fiber": {"-origin", "http://localhost:1", "-listen", "localhost:-1", "-fiber"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), args, io.Discard); err == nil || errors.Is(err, flag.ErrHelp) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
