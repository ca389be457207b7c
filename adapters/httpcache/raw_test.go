package httpcache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/rawtest"
)

// A server with a cache answers any bytes as one without, but for what HTTP permits a cache: two requests that a handler can
// tell apart never share a response.
func FuzzRawRequests(f *testing.F) {
	cache := newCache(f, httpcache.Options{Logger: silent()})
	p := &rawtest.Pair{}
	p.Cached = serveRaw(f, cache.Handler(reveal(p.AnswerCached)))
	p.Bare = serveRaw(f, reveal(p.AnswerBare))
	p.Clear = func() {
		if err := cache.Clear(context.Background()); err != nil {
			panic(err)
		}
	}
	for _, pair := range rawtest.Seeds() {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if why := p.Check(first, second); why != "" {
			t.Error(why)
		}
	})
}

// reveal is a handler that answers with what it sees of a request.
func reveal(answer func(*rawtest.Seen) rawtest.Answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = append(body, "cut off"...)
		}
		a := answer(&rawtest.Seen{
			Method: r.Method, Target: r.RequestURI, URL: r.URL.String(), Host: r.Host, HostField: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery,
			Body: string(body), Header: r.Header.Clone(),
		})
		for _, field := range a.Fields {
			w.Header().Set(field[0], field[1])
		}
		_, _ = io.WriteString(w, a.Body)
	})
}

// serveRaw has a server of the handler answer connections, until the test ends.
func serveRaw(f *testing.F, h http.Handler) func(*rawtest.Conn) {
	l := rawtest.NewListener()
	s := &http.Server{Handler: h, ErrorLog: quiet()}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			f.Error(err)
		}
	})
	return l.Serve
}
