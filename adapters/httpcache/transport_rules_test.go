package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// inProcess returns a client of a cache, whose requests an origin answers without a network.
func inProcess(t testing.TB, o httpcache.Options, origin http.Handler) *http.Client {
	t.Helper()
	return &http.Client{Transport: newCache(t, o).Transport(direct{origin})}
}

const api = "https://api.example/users"

// A private cache stores what a shared one doesn't, and conversely (RFC 9111 §3, §3.5, §5.2.2).
func TestTransportRules(t *testing.T) {
	for _, tc := range []struct {
		request, control, cdn string
		private, shared       bool // whether a second request is a hit
	}{
		{"", "max-age=60", "", true, true},
		{"", "private, max-age=60", "", true, false},
		{"", "s-maxage=60", "", false, true},
		{"", "max-age=0, s-maxage=60", "", false, true},
		{"", "max-age=60, s-maxage=0", "", true, false},
		{"", "max-age=60", "no-store", true, false},
		{"", "no-store", "max-age=60", false, true},
		{"", "no-store, private, max-age=60", "", false, false},
		{"", "", "", false, false},
		{"Authorization", "max-age=60", "", true, false},
		{"Authorization", "private, max-age=60", "", true, false},
		{"Authorization", "public, max-age=60", "", true, true},
		{"Cookie", "private, max-age=60", "", true, false},
	} {
		for _, private := range []bool{true, false} {
			o := text("hello", "Surrogate-Control", "no-store")
			if tc.control != "" {
				o = text("hello", "Cache-Control", tc.control)
			}
			if tc.cdn != "" {
				o = text("hello", "Cache-Control", tc.control, "Cdn-Cache-Control", tc.cdn)
			}
			c := inProcess(t, httpcache.Options{Private: private}, o)
			var fields []string
			if tc.request != "" {
				fields = []string{tc.request, "alice"}
			}
			send(t, c, "GET", api, fields...)
			second := send(t, c, "GET", api, fields...)
			want := tc.shared
			if private {
				want = tc.private
			}
			if got := strings.HasPrefix(second.Header.Get("Cache-Status"), hit); got != want || second.body != "hello" {
				t.Errorf("%s %q %q, private %v: %v", tc.request, tc.control, tc.cdn, private, second.Header)
			}
		}
	}
}

// Each user of a private cache has responses of its own: users have other credentials, or are those of Options.User.
func TestTransportUsers(t *testing.T) {
	echo := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprint(w, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-User"))
	}}
	users := [][]string{{}, {"Authorization", "alice"}, {"Authorization", "bob"}, {"Cookie", "alice"}, {"Cookie", "bob"}, {"Cookie", "a", "Authorization", "b"}}
	c := inProcess(t, httpcache.Options{Private: true}, echo)
	for round := range 2 {
		for _, fields := range users {
			want := ""
			for i := 1; i < len(fields); i += 2 {
				want = fields[i] + want // Authorization is before Cookie
			}
			cacheStatus := stored
			if round > 0 {
				cacheStatus = hit
			}
			expectFetched(t, send(t, c, "GET", api, fields...), 200, cacheStatus, want)
		}
	}
	send(t, c, "PUT", api, "Authorization", "bob")
	expectFetched(t, send(t, c, "GET", api, "Authorization", "bob"), 200, stored, "bob")
	expectFetched(t, send(t, c, "GET", api, "Authorization", "alice"), 200, hit, "alice")

	one := inProcess(t, httpcache.Options{Private: true, User: func(*http.Request) string { return "" }}, echo)
	expectFetched(t, send(t, one, "GET", api, "Cookie", "session=1"), 200, stored, "session=1")
	expectFetched(t, send(t, one, "GET", api, "Cookie", "session=2"), 200, hit, "session=1")
	byField := inProcess(t, httpcache.Options{Private: true, User: func(r *http.Request) string { return r.Header.Get("X-User") }}, echo)
	expectFetched(t, send(t, byField, "GET", api, "X-User", "alice"), 200, stored, "alice")
	expectFetched(t, send(t, byField, "GET", api, "X-User", "bob"), 200, stored, "bob")
}

// Request directives, conditions, ranges and HEAD are those of the Handler (TestDifferential): here are examples, over a network.
func TestTransportRequests(t *testing.T) {
	o := text("hello", "Cache-Control", "max-age=60", "ETag", `"v1"`)
	c := client(t, newCache(t, httpcache.Options{Private: true}))
	url := startOrigin(t, o).URL + "/a"
	only := send(t, c, "GET", url, "Cache-Control", "only-if-cached")
	expectFetched(t, only, 504, "http", "")
	send(t, c, "GET", url)
	for _, tc := range []struct {
		method      string
		fields      []string
		status      int
		cacheStatus string
		body        string
	}{
		{"GET", nil, 200, hit, "hello"},
		{"HEAD", nil, 200, hit, ""},
		{"GET", []string{"Range", "bytes=1-2"}, 206, hit, "el"},
		{"GET", []string{"If-None-Match", `"v1"`}, 304, hit, ""},
		{"GET", []string{"Cache-Control", "only-if-cached"}, 200, hit, "hello"},
		{"GET", []string{"Cache-Control", "no-cache"}, 200, "http; fwd=request; stored", "hello"},
		{"GET", []string{"Cache-Control", "max-age=0"}, 200, "http; fwd=request; stored", "hello"},
		{"GET", []string{"Cache-Control", "min-fresh=100"}, 200, "http; fwd=request; stored", "hello"},
		{"GET", []string{"Cache-Control", "no-store"}, 200, "http; fwd=request", "hello"},
		{"GET", []string{"If-Match", `"v1"`}, 200, "http; fwd=bypass", "hello"},
		{"OPTIONS", nil, 200, "http; fwd=method", "hello"},
		{"GET", nil, 200, hit, "hello"},
		{"POST", nil, 200, "http; fwd=method", "hello"},
		{"GET", nil, 200, stored, "hello"},
	} {
		f := send(t, c, tc.method, url, tc.fields...)
		expectFetched(t, f, tc.status, tc.cacheStatus, tc.body)
		if tc.method == "HEAD" && (f.ContentLength != 5 || f.Body != http.NoBody) {
			t.Errorf("HEAD: %d bytes, %T", f.ContentLength, f.Body)
		}
		if tc.status == 206 && (f.Header.Get("Content-Range") != "bytes 1-2/5" || f.ContentLength != 2) {
			t.Errorf("Range: %v", f.Header)
		}
	}
}

// A stale response is validated, served while it is validated, or served if that fails.
func TestTransportStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failure error
		o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", r.URL.Query().Get("control"))
			w.Header().Set("Etag", `"v1"`)
			if r.Header.Get("If-None-Match") == `"v1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = io.WriteString(w, "hello")
		}}
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			if failure != nil {
				return nil, failure
			}
			return direct{o}.RoundTrip(r)
		})
		c := &http.Client{Transport: newCache(t, httpcache.Options{Private: true}).Transport(next)}
		validated, behind, tolerant := api+"?control=max-age=10", api+"?control=max-age=10,stale-while-revalidate=50", api+"?control=max-age=10,stale-if-error=50"
		for _, url := range []string{validated, behind, tolerant} {
			expectFetched(t, send(t, c, "GET", url), 200, stored, "hello")
		}
		time.Sleep(20 * time.Second)
		expectFetched(t, send(t, c, "GET", validated), 200, "http; fwd=stale; fwd-status=304; stored", "hello")
		expectFetched(t, send(t, c, "GET", behind), 200, hit, "hello")
		synctest.Wait()
		o.expectRuns(t, 5)
		if f := send(t, c, "GET", behind); f.Header.Get("Cache-Status") != "http; hit; ttl=10" {
			t.Errorf("after a background run: %v", f.Header)
		}
		failure = io.ErrUnexpectedEOF
		if f := send(t, c, "GET", tolerant); f.Header.Get("Cache-Status") != "http; fwd=stale; detail=stale-if-error" || f.body != "hello" {
			t.Errorf("after an error: %v", f.Header)
		}
		time.Sleep(time.Minute)
		for _, url := range []string{validated, tolerant} {
			if _, err := c.Get(url); err == nil || !strings.Contains(err.Error(), failure.Error()) {
				t.Errorf("%s: %v", url, err)
			}
		}
	})
}

// roundTripper is a RoundTripper of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Requests whose response depends on more than the URL and the fields pass.
func TestTransportUnusualRequests(t *testing.T) {
	o := text("hello", "Cache-Control", "max-age=60")
	rt := newCache(t, httpcache.Options{Private: true}).Transport(direct{o})
	for name, edit := range map[string]func(*http.Request){
		"another Host":    func(r *http.Request) { r.Host = "other.example" },
		"another scheme":  func(r *http.Request) { r.URL.Scheme = "unix" },
		"an opaque URL":   func(r *http.Request) { r.URL.Opaque = "//api.example/users" },
		"a field's name":  func(r *http.Request) { r.Header["authorization"] = []string{"alice"} },
		"a body":          func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
		"another upgrade": func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
	} {
		for range 2 {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", api, nil)
			edit(r)
			res, err := rt.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header.Get("Cache-Status"); got != bypass {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	// These mean the same as the usual forms.
	for i, edit := range []func(*http.Request){
		func(*http.Request) {}, func(r *http.Request) { r.Method = "" }, func(r *http.Request) { r.Host = "" },
		func(r *http.Request) { r.Host = "API.example" }, func(r *http.Request) { r.URL.Host = "api.example:443"; r.Host = "" },
		func(r *http.Request) { r.URL.Fragment = "top" }, func(r *http.Request) { r.RequestURI = "/other" },
	} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", api, nil)
		edit(r)
		res, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Cache-Status"); strings.HasPrefix(got, hit) != (i > 0) {
			t.Errorf("%d: %s", i, got)
		}
		_, _ = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
}

// A change removes what is stored for its URL, and for the URLs of the same origin that its response names (RFC 9111 §4.4),
// unless it failed.
func TestTransportInvalidates(t *testing.T) {
	for _, tc := range []struct {
		status int
		fields []string
		hit    bool // whether the page stays
	}{
		{201, []string{"Location", "/users"}, false},
		{201, []string{"Location", "https://api.example/users"}, false},
		{200, []string{"Content-Location", "https://API.example:443/users"}, false},
		{201, []string{"Location", "https://other.example/users"}, true},
		{201, []string{"Location", "http://api.example/users"}, true},
		{303, []string{"Location", "/users"}, true},
		{409, []string{"Content-Location", "/users"}, true},
	} {
		c := inProcess(t, httpcache.Options{Private: true}, &origin{handler: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.Header().Set("Cache-Control", "max-age=60")
				return
			}
			setFields(w.Header(), tc.fields)
			w.WriteHeader(tc.status)
		}})
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, url := range []string{api, api + "/new"} {
			send(t, c, "GET", url)
		}
		expectFetched(t, send(t, c, "POST", api+"/new"), tc.status, "http; fwd=method", "")
		for url, want := range map[string]bool{api: tc.hit, api + "/new": tc.status >= 400} {
			if got := strings.HasPrefix(send(t, c, "GET", url).Header.Get("Cache-Status"), hit); got != want {
				t.Errorf("%d %v: %s is a hit: %v", tc.status, tc.fields, url, got)
			}
		}
	}
}
