package rawtest_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/rawtest"
)

// Check notices a cache with a wrong key, and one that ignores changes. It finds nothing wrong with a server without a cache.
func TestFaultsAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		key   func(*http.Request) string // of the cache; "": the cache isn't used
		found bool
	}{
		"no cache": {func(*http.Request) string { return "" }, false},
		"responses are stored for ever": {func(r *http.Request) string {
			if r.Method != "GET" && r.Method != "HEAD" {
				return ""
			}
			return r.Host + " " + r.RequestURI + r.Header.Get("If-None-Match")
		}, true}, // changes are ignored
		"the path alone": {func(r *http.Request) string { return r.URL.Path }, true},
	} {
		t.Run(name, func(t *testing.T) {
			stored := make(map[string]rawtest.Answer)
			p := &rawtest.Pair{}
			p.Bare = serve(t, p.AnswerBare)
			p.Clear = func() { clear(stored) }
			p.Cached = serve(t, func(s *rawtest.Seen) rawtest.Answer {
				r, err := http.NewRequest(s.Method, s.Target, nil)
				if err != nil {
					return p.AnswerCached(s)
				}
				r.Host, r.RequestURI, r.Header = s.Host, s.Target, s.Header
				key := tc.key(r)
				if a, ok := stored[key]; ok {
					return a
				}
				a := p.AnswerCached(s)
				if key != "" {
					stored[key] = a
				}
				return a
			})
			found := false
			for _, pair := range rawtest.Seeds() {
				found = found || p.Check(pair[0], pair[1]) != ""
			}
			if found != tc.found {
				t.Errorf("something is found: %v", found)
			}
		})
	}
}

func serve(t *testing.T, answer func(*rawtest.Seen) rawtest.Answer) func(*rawtest.Conn) {
	t.Helper()
	l := rawtest.NewListener()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body strings.Builder
		if _, err := io.Copy(&body, r.Body); err != nil {
			body.WriteString("cut off")
		}
		a := answer(&rawtest.Seen{
			Method: r.Method, Target: r.RequestURI, URL: r.URL.String(), Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery,
			Body: body.String(), Header: r.Header.Clone(),
		})
		for _, field := range a.Fields {
			w.Header().Set(field[0], field[1])
		}
		_, _ = io.WriteString(w, a.Body)
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Serve
}
