package keys_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/keys"
)

func TestRequest(t *testing.T) {
	cases := []struct{ method, target, want string }{
		{"GET", "http://localhost:8080/api/v1/users?skip=0&limit=20", "get:/api/v1/users:limit=20&skip=0"},
		{"GET", "http://elsewhere/api/v1/users?limit=20&skip=0", "get:/api/v1/users:limit=20&skip=0"},
		{"GET", "/", "get:/:"},
		{"GET", "/?", "get:/:"},
		{"GET", "/?&&a&", "get:/:a"},
		{"POST", "/a:b/c%2Fd?x=1:2", "post:/a:b/c%2Fd:x=1!3A2"},
		{"M-SEARCH", "/", "m-search:/:"},
		{"OPTIONS", "*", "options:*:"},
		{"get", "/", "%67%65%74:/:"},
		{"GEt", "/", "ge%74:/:"},
		{"GET", "/?id=1&id=2", "get:/:id=1&id=2"},
		{"GET", "/?id=2", "get:/:id=2"},
		{"GET", "/?id=2&id=1", "get:/:id=2&id=1"},
		{"GET", "/?b=1&id=2&a=3&id=1", "get:/:a=3&b=1&id=2&id=1"},
		{"GET", "/?a", "get:/:a"},
		{"GET", "/?a=", "get:/:a="},
		{"GET", "/?=", "get:/:="},
		{"GET", "/?b=1&%41=%62+c", "get:/:%41=%62+c&b=1"},
		{"GET", "/?A=b%20c", "get:/:A=b%20c"},
		{"GET", "/?a=b=c", "get:/:a=b=c"},
		{"GET", "/?%21a=1", "get:/:%21a=1"},
		{"GET", "/?b=1&a=%zz", "get:/:b=1&a=%zz"},
		{"GET", "/?a=1;b=2&a=%zz&c", "get:/:a=1;b=2&a=%zz&c"},
		{"GET", "/?%e9=%FF", "get:/:%e9=%FF"},
		{"GET", `/s?q="><script>`, "get:/s:q=!22!3E!3Cscript!3E"},
		{"GET", "/s?q=%22%3E%3Cscript%3E", "get:/s:q=%22%3E%3Cscript%3E"},
		{"GET", "/s?q=!22", "get:/s:q=!2122"},
		{"GET", `/s/">`, "get:|%2Fs%2F%22%3E:"},
		{"GET", "/s/%22%3E", "get:/s/%22%3E:"},
		{"GET", "mailto:someone", "get:|someone:"},
	}
	for _, c := range cases {
		if got := keys.Request(serverRequest(t, c.method, c.target)); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.method, c.target, got, c.want)
		}
	}
	if got := keys.Request(&http.Request{URL: &url.URL{}}); got != "get:/:" {
		t.Errorf("the empty request: %q", got)
	}
}

func TestHostRequest(t *testing.T) {
	cases := []struct{ method, target, host, want string }{
		{"GET", "/api/v1/users?skip=0&limit=20", "localhost:8080", "get://localhost:8080/api/v1/users:limit=20&skip=0"},
		{"GET", "/", "Example.COM", "get://example.com/:"},
		{"GET", "http://url.host/x", "Header.Host", "get://header.host/x:"},
		{"GET", "http://URL.host/x", "", "get://url.host/x:"},
		{"GET", "/x", "", "get:///x:"},
		{"GET", "/x", "[::1]:80", "get://[::1]:80/x:"},
		{"GET", "/x", "a/b", "get://a%2Fb/x:"},
		{"GET", "/x", "a%2Fb|é", "get://a%252fb%7C%C3%A9/x:"},
		{"OPTIONS", "*", "a", "options://a|*:"},
	}
	for _, c := range cases {
		r := serverRequest(t, c.method, c.target)
		r.Host = c.host
		if got := keys.HostRequest(r); got != c.want {
			t.Errorf("%s %s of %q: got %q, want %q", c.method, c.target, c.host, got, c.want)
		}
		if got := string(keys.AppendHostRequest([]byte("https "), r)); got != "https "+c.want {
			t.Errorf("%s %s of %q: appended %q, want %q", c.method, c.target, c.host, got, "https "+c.want)
		}
	}
}

// serverRequest is the request as a server gets it.
func serverRequest(t *testing.T, method, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{Method: method, URL: u, RequestURI: target, Host: u.Host}
}

func TestRequestIsNotModified(t *testing.T) {
	make := func() *http.Request {
		return httptest.NewRequest("GET", "http://Example.com/a%2Fb?b=2&%61=1&b=1&x=%zz", nil)
	}
	r := make()
	keys.Request(r)
	keys.HostRequest(r)
	if !reflect.DeepEqual(r, make()) {
		t.Error("the request was modified")
	}
}

// identity is what has to tell two requests apart, put together from what net/url says of each part of the query.
func identity(r *http.Request, withHost bool) string {
	method, path, host := r.Method, r.URL.EscapedPath(), ""
	if method == "" {
		method = http.MethodGet
	}
	if path == "" || r.URL.Opaque != "" { // an opaque URL has no path
		path = "/"
	}
	if withHost {
		if host = r.Host; host == "" {
			host = r.URL.Host
		}
		for c := 'A'; c <= 'Z'; c++ {
			host = strings.ReplaceAll(host, string(c), string(c+32))
		}
	}
	if raw := r.URL.RawPath; raw != "" && r.URL.Opaque == "" {
		if decoded, err := url.PathUnescape(raw); err == nil && decoded == r.URL.Path {
			path = raw
		}
	}
	parts, params, sortable := []string{}, map[string][]string{}, true
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if part == "" {
			continue
		}
		values, err := url.ParseQuery(part)
		sortable = sortable && err == nil
		parts = append(parts, part)
		for name := range values {
			params[name] = append(params[name], part)
		}
	}
	if sortable {
		parts = nil // else parsers disagree on the names, and the order counts
	} else {
		params = nil
	}
	return fmt.Sprintf("%q", []any{method, host, path, r.URL.Opaque, params, parts})
}

// checkPair checks that the keys of two requests are equal exactly if their identities are.
func checkPair(t *testing.T, r1, r2 *http.Request) {
	t.Helper()
	for _, withHost := range []bool{false, true} {
		key := keys.Request
		if withHost {
			key = keys.HostRequest
		}
		k1, k2, id1, id2 := key(r1), key(r2), identity(r1, withHost), identity(r2, withHost)
		if (k1 == k2) != (id1 == id2) {
			t.Fatalf("keys %q and %q\nof %s\nand %s", k1, k2, id1, id2)
		}
	}
}

// checkLastColon checks that what is before the last ':' doesn't depend on the query.
func checkLastColon(t *testing.T, r *http.Request) {
	t.Helper()
	bare := *r
	bareURL := *r.URL
	bareURL.RawQuery = ""
	bare.URL = &bareURL
	for _, key := range []func(*http.Request) string{keys.Request, keys.HostRequest} {
		k := key(r)
		if want := key(&bare); k[:strings.LastIndexByte(k, ':')+1] != want {
			t.Fatalf("%q doesn't begin with %q", k, want)
		}
	}
}

// shuffled is the query with its parts in another order, each name's values still in theirs.
func shuffled(query string, r *rand.Rand) string {
	parts := strings.Split(query, "&")
	for range len(parts) {
		i := r.IntN(len(parts))
		if i > 0 && partName(parts[i-1]) != partName(parts[i]) {
			parts[i-1], parts[i] = parts[i], parts[i-1]
		}
	}
	return strings.Join(parts, "&")
}

func partName(part string) string {
	values, err := url.ParseQuery(part)
	if err != nil {
		return "malformed " + part
	}
	for name := range values {
		return "name " + name
	}
	return "empty"
}

// Requests made of few characters, so that whatever can collide does.
func TestRequestKeysAreIdentities(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from string, n int) string {
		var b strings.Builder
		for range r.IntN(n + 1) {
			b.WriteByte(from[r.IntN(len(from))])
		}
		return b.String()
	}
	seen := [2]map[string]string{{}, {}}
	back := [2]map[string]string{{}, {}}
	for range 40_000 {
		req := &http.Request{
			Method: []string{"", "GET", "get", "G:", "G/", "G%"}[r.IntN(6)],
			Host:   pick("aA/:|%*", 2),
			URL:    &url.URL{Host: pick("b/", 1), Path: pick("/a:*|%", 3), RawQuery: pick("aab==&&&%41;:!+", 6)},
		}
		if r.IntN(2) == 0 {
			req.URL.Path = "/" + req.URL.Path
		}
		if r.IntN(20) == 0 {
			req.URL.Opaque = pick("/a:|%", 3)
		}
		checkLastColon(t, req)
		for i, key := range []func(*http.Request) string{keys.Request, keys.HostRequest} {
			k, id := key(req), identity(req, i == 1)
			if other, ok := seen[i][k]; ok && other != id {
				t.Fatalf("%q is the key of %s\nand of %s", k, other, id)
			}
			if other, ok := back[i][id]; ok && other != k {
				t.Fatalf("%s\nhas the keys %q and %q", id, other, k)
			}
			seen[i][k], back[i][id] = id, k
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "a.example", "/users", "", "a=1&b=2&a=%zz", "", "A.example", "/users", "", "b=2&a=1&a=%zz")
	f.Add("get", "a/b", "*", "", "a;b", "GET", "a", "/b*", "/b%2A", "%41=+&a==")
	f.Fuzz(func(t *testing.T, m1, h1, p1, raw1, q1, m2, h2, p2, raw2, q2 string) {
		r1 := &http.Request{Method: m1, Host: h1, URL: &url.URL{Path: p1, RawPath: raw1, RawQuery: q1}}
		r2 := &http.Request{Method: m2, Host: h2, URL: &url.URL{Path: p2, RawPath: raw2, RawQuery: q2}}
		checkPair(t, r1, r2)
		// Neighbours: one part the same, or equal in another form.
		random := rand.New(rand.NewPCG(uint64(len(q1)), uint64(len(q2))))
		same := &http.Request{Method: m1, Host: strings.ToUpper(h1), URL: &url.URL{Path: p1, RawPath: raw1, RawQuery: shuffled(q1, random)}}
		checkPair(t, r1, same)
		checkPair(t, r1, &http.Request{Method: m2, Host: h1, URL: r1.URL})
		checkPair(t, r1, &http.Request{Method: m1, Host: h2, URL: r1.URL})
		checkPair(t, r1, &http.Request{Method: m1, Host: h1 + p1, URL: &url.URL{Path: p2, RawQuery: q1}})
		checkLastColon(t, r1)
		if k := keys.Request(same); identity(same, false) == identity(r1, false) && k != keys.Request(r1) {
			t.Fatalf("another order gave %q", k)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	for name, target := range map[string]string{
		"plain":   "http://localhost:8080/api/v1/users?skip=0&limit=20",
		"noquery": "http://localhost:8080/api/v1/users/42",
		"escaped": "http://localhost:8080/search?q=a+b%26c&page=2&lang=en",
	} {
		r := httptest.NewRequest("GET", target, nil)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				keys.Request(r)
			}
		})
		b.Run(name+"/host", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				keys.HostRequest(r)
			}
		})
	}
}
