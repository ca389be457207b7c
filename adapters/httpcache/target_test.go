package httpcache_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// Requests that a handler can tell apart never share a key: here it answers with all that it sees of the target.
func TestTargets(t *testing.T) {
	o := &origin{handler: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", []string{r.RequestURI, r.URL.String(), r.Host})
	}}
	s := listen(t, httpcache.Options{TTL: minute}, o)
	address := s.Listener.Addr().String()
	send := func(head string) (answer, status string) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, head+"\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return string(body), res.Header.Get("Cache-Status")
	}
	usual := "GET /s/a?q=shoes HTTP/1.1\r\nHost: " + address
	plain, _ := send(usual)
	for _, head := range []string{
		`GET /s/a?q=shoes#"><script> HTTP/1.1` + "\r\nHost: " + address,
		"GET /s/a?q=shoes# HTTP/1.1\r\nHost: " + address,
		"GET http://" + address + "/s/a?q=shoes HTTP/1.1\r\nHost: " + address,
		"GET https://" + address + "/s/a?q=shoes HTTP/1.1\r\nHost: " + address,
		"GET http://user@" + address + "/s/a?q=shoes HTTP/1.1\r\nHost: " + address,
		"GET /s/%61?q=shoes HTTP/1.1\r\nHost: " + address,
		"GET /%73/a?q=shoes HTTP/1.1\r\nHost: " + address,
		"GET /s/a?q=%73hoes HTTP/1.1\r\nHost: " + address,
		`GET /s/a?q="shoes HTTP/1.1` + "\r\nHost: " + address,
		"GET /s/a?q=%22shoes HTTP/1.1\r\nHost: " + address,
		`GET /s/a"?q=shoes HTTP/1.1` + "\r\nHost: " + address,
		"GET /s/a%22?q=shoes HTTP/1.1\r\nHost: " + address,
	} {
		if body, status := send(head); body == plain || strings.Contains(status, "hit") {
			t.Errorf("%q: %s, %s", head, status, body)
		}
		if body, status := send(usual); body != plain || !strings.Contains(status, "hit") {
			t.Errorf("after %q: %s, %s", head, status, body)
		}
	}
}

// Two prefixes whose handlers share a cache don't collide, and a change under one is of its own URLs.
func TestStripPrefix(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: minute})
	mux := http.NewServeMux()
	for _, prefix := range []string{"/v1", "/v2"} {
		mux.Handle(prefix+"/", http.StripPrefix(prefix, cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				w.Header().Set("Location", prefix+"/users")
				w.WriteHeader(http.StatusCreated)
				return
			}
			fmt.Fprint(w, prefix, " ", r.URL)
		}))))
	}
	for _, prefix := range []string{"/v1", "/v2"} {
		expect(t, get(mux, prefix+"/users"), 200, stored, prefix+" /users")
		expectHitOf(t, get(mux, prefix+"/users"), prefix+" /users")
	}
	serve(mux, request("POST", "/v1/other"))
	expect(t, get(mux, "/v1/users"), 200, stored, "/v1 /users")
	expectHitOf(t, get(mux, "/v2/users"), "/v2 /users")
	if err := cache.Purge(t.Context(), request("GET", "/v2/users")); err != nil {
		t.Fatal(err)
	}
	expect(t, get(mux, "/v2/users"), 200, stored, "/v2 /users")
}

// What a handler around the cache made of the URL counts: it may have asked a cookie.
func TestRewritten(t *testing.T) {
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(echo())
	rewrite := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/page-" + r.Header.Get("X-Bucket")
		h.ServeHTTP(w, r)
	})
	for _, bucket := range []string{"a", "b"} {
		want := "example.com/page-" + bucket
		expect(t, get(rewrite, "/page", "X-Bucket", bucket), 200, stored, want)
		expectHitOf(t, get(rewrite, "/page", "X-Bucket", bucket), want)
	}
	put := request("PUT", "/page")
	put.Header.Set("X-Bucket", "a")
	serve(rewrite, put)
	for _, bucket := range []string{"a", "b"} { // which are both what is stored for the client's URL
		expect(t, get(rewrite, "/page", "X-Bucket", bucket), 200, stored, "example.com/page-"+bucket)
	}
}

// A rewriting of the query counts as one of the path does, and one to a part of the path as any other.
func TestOtherRewritings(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: minute, IgnoreQuery: []string{"utm"}})
	h := cache.Handler(echo())
	rewrite := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "" {
			r.URL.Path = "/"
		}
		q := r.URL.Query()
		q.Set("tenant", "a")
		r.URL.RawQuery = q.Encode()
		h.ServeHTTP(w, r)
	})
	get(rewrite, "/account/", "Cookie", "a=b")
	expect(t, get(rewrite, "/account/"), 200, stored, "example.com/?tenant=a")
	get(rewrite, "/u?utm=1")
	expectCached(t, rewrite, "/u?utm=2", true)
	serve(rewrite, request("PUT", "/account/"))
	expectCached(t, rewrite, "/account/", false)
	created := httptest.NewRecorder()
	cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/u?utm=3")
		w.WriteHeader(http.StatusCreated)
	})).ServeHTTP(created, request("POST", "/x"))
	expectCached(t, rewrite, "/u?utm=2", false)
}

// A purge and a change remove what is stored for the same URL in another spelling (RFC 3986, section 6.2.2).
func TestEquivalentURLs(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: minute})
	h := cache.Handler(echo())
	urls := []string{"/%c3%A9/a", "http://example.com:80/%C3%A9/a", "http://EXAMPLE.com/%C3%A9/%61", "/%C3%A9/a"}
	for _, target := range urls {
		spelled := []string{"/%c3%a9/a", "/%C3%A9/a", "http://example.com/%C3%A9/a"}
		for _, stored := range spelled {
			get(h, stored)
			expectCached(t, h, stored, true)
		}
		if err := cache.Purge(t.Context(), request("GET", target)); err != nil {
			t.Fatal(err)
		}
		for _, stored := range spelled {
			expectCached(t, h, stored, false)
		}
		r := request("PUT", target)
		serve(h, r)
		for _, stored := range spelled {
			if w := get(h, stored); isHit(w) {
				t.Errorf("after PUT %s: GET %s is a hit", target, stored)
			}
		}
	}
	// The port that the scheme has anyway is the same host.
	get(h, "https://example.com/x")
	expectCached(t, h, "https://example.com:443/x", true)
	if err := cache.Purge(t.Context(), &http.Request{Method: "GET", Host: "example.com:443", URL: &url.URL{Scheme: "https", Path: "/x"}, TLS: &tls.ConnectionState{}}); err != nil {
		t.Fatal(err)
	}
	expectCached(t, h, "https://example.com/x", false)
}

func expectHitOf(t *testing.T, w *httptest.ResponseRecorder, body string) {
	t.Helper()
	if !isHit(w) || w.Body.String() != body {
		t.Errorf("%v, %q, want a hit of %q", w.Header(), w.Body, body)
	}
}

func expectCached(t *testing.T, h http.Handler, target string, cached bool) {
	t.Helper()
	if w := get(h, target); isHit(w) != cached {
		t.Errorf("GET %s: a hit: %v", target, !cached)
	}
}

// A change and a purge remove what is stored for all values of KeyHeaders, and for all users.
func TestPurgeOfAllVariants(t *testing.T) {
	for name, o := range map[string]httpcache.Options{
		"KeyHeaders":   {TTL: minute, KeyHeaders: []string{"X-User"}},
		"User":         {TTL: minute, User: func(r *http.Request) string { return r.Header.Get("X-User") }},
		"User and Key": {TTL: minute, User: func(r *http.Request) string { return r.Header.Get("X-User") }, Key: func(r *http.Request) string { return r.URL.Path }},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, o)
			h := cache.Handler(echo())
			fill := func() {
				for _, user := range []string{"", "a", "b"} {
					get(h, "/page", "X-User", user)
					get(h, "/other", "X-User", user)
					if w := get(h, "/page", "X-User", user); !isHit(w) {
						t.Errorf("%q: no hit: %v", user, w.Header())
					}
				}
			}
			expectGone := func() {
				t.Helper()
				for _, user := range []string{"", "a", "b"} {
					if w := get(h, "/page", "X-User", user); isHit(w) {
						t.Errorf("%q: a hit", user)
					}
					if w := get(h, "/other", "X-User", user); !isHit(w) {
						t.Errorf("%q: no hit of another URL", user)
					}
				}
			}
			fill()
			r := request("PUT", "/page")
			r.Header.Set("X-User", "a")
			serve(h, r)
			expectGone()
			fill()
			if err := cache.Purge(t.Context(), request("GET", "/page")); err != nil {
				t.Fatal(err)
			}
			expectGone()
		})
	}
}

// A field that Connection names reaches a handler, and no origin behind a proxy: it tells nothing about the response.
func TestFieldsOfConnection(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-Lang")
		fmt.Fprintf(w, "%q of %q", r.Header.Get("X-Lang"), r.Header.Get("X-Tenant"))
	}))
	defer backend.Close()
	u, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	h := newCache(t, httpcache.Options{TTL: minute, KeyHeaders: []string{"X-Tenant"}}).Handler(httputil.NewSingleHostReverseProxy(u))
	for _, hidden := range []string{"X-Tenant", "X-Lang"} {
		w := get(h, "/"+hidden, hidden, "acme", "Connection", "close, "+hidden)
		if w.Body.String() != `"" of ""` {
			t.Errorf("hidden %s: %q", hidden, w.Body)
		}
	}
	if w := get(h, "/X-Tenant", "X-Tenant", "acme"); w.Body.String() != `"" of "acme"` {
		t.Errorf("the tenant got %q", w.Body)
	}
	if w := get(h, "/X-Lang", "X-Lang", "acme"); w.Body.String() != `"acme" of ""` {
		t.Errorf("the reader got %q", w.Body)
	}
}

// Java's clients offer h2c with each request, and take an answer of HTTP/1.1.
func TestUpgradeToHTTP2(t *testing.T) {
	h := newCache(t, httpcache.Options{TTL: minute}).Handler(echo())
	fields := []string{"Upgrade", "h2c", "Connection", "Upgrade, HTTP2-Settings", "Http2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"}
	expect(t, get(h, "/a", fields...), 200, stored, "example.com/a")
	expectHitOf(t, get(h, "/a", fields...), "example.com/a")
}

// RFC 9875: a change removes what is in the groups that its response names, of its own origin.
func TestGroups(t *testing.T) {
	cache := newCache(t, httpcache.Options{TTL: minute})
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Cache-Groups", `"all", "`+r.URL.Query().Get("g")+`"`)
		} else {
			w.Header().Set("Cache-Group-Invalidation", r.URL.RawQuery)
			if r.URL.Path == "/refused" {
				w.WriteHeader(http.StatusConflict)
			}
		}
		fmt.Fprint(w, "hello")
	}))
	pages := []string{"/?g=a", "/?g=b", "http://other.example/?g=a"}
	for _, tc := range []struct {
		method, target string
		gone           []bool
	}{
		{"POST", `/x?"a"`, []bool{true, false, false}},
		{"DELETE", `/x?"a","b"`, []bool{true, true, false}},
		{"PUT", `http://other.example/x?"all"`, []bool{false, false, true}},
		{"POST", `/x?a`, []bool{false, false, false}},
		{"POST", `/refused?"a"`, []bool{false, false, false}},
		{"OPTIONS", `/x?"a"`, []bool{false, false, false}},
	} {
		for _, page := range pages {
			get(h, page)
			expectCached(t, h, page, true)
		}
		r := request(tc.method, tc.target)
		serve(h, r)
		for i, page := range pages {
			if w := get(h, page); isHit(w) == tc.gone[i] {
				t.Errorf("%s %s: %s is a hit: %v", tc.method, tc.target, page, !tc.gone[i])
			}
		}
	}
}
