package rfc9111_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9110 §9.2.1.
func TestSafe(t *testing.T) {
	for method, want := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PROPFIND": true, "QUERY": true, "REPORT": true, "SEARCH": true,
		"POST": false, "PUT": false, "DELETE": false, "PATCH": false, "CONNECT": false, "M-SEARCH": false, "MKCOL": false, "get": false, "": false,
	} {
		if got := rfc9111.Safe(method); got != want {
			t.Errorf("%s: %v, want %v", method, got, want)
		}
	}
}

// RFC 9111 §4.4, RFC 9110 §4.3.1.
func TestInvalidated(t *testing.T) {
	for _, tc := range []struct {
		name     string
		target   string
		host     string
		response http.Header
		want     []string
	}{
		{"nothing", "/a", "h", nil, nil},
		{"Location", "/a/b", "h", fields("Location", "/c?d=1#e"), []string{"/c?d=1"}},
		{"both", "/a/b", "h", fields("Location", "c", "Content-Location", "../d"), []string{"/a/c", "/d"}},
		{"each once", "/a/b", "h", fields("Location", "/c", "Content-Location", "http://h/c"), []string{"/c"}},
		{"not the target", "/a/b?c", "h", fields("Location", "b?c"), nil},
		{"the target without a query", "/a/b?c", "h", fields("Location", "b"), []string{"/a/b"}},
		{"the same host", "/a", "h:8080", fields("Location", "http://H:8080/c"), []string{"/c"}},
		{"another host", "/a", "h", fields("Location", "http://i/c"), nil},
		{"another host without a scheme", "/a", "h", fields("Location", "//i/c"), nil},
		{"another port", "/a", "h:8080", fields("Location", "http://h/c"), nil},
		{"the scheme's own port", "/a", "h", fields("Location", "http://h:80/c", "Content-Location", "https://h:443/d"), []string{"/c", "/d"}},
		{"the other scheme's port", "/a", "h", fields("Location", "http://h:443/c"), nil},
		{"another scheme", "https://h/a", "h", fields("Location", "http://h/c"), nil},
		{"the same scheme", "https://h/a", "h:443", fields("Location", "HTTPS://h/c"), []string{"/c"}},
		{"no scheme of HTTP", "/a", "h", fields("Location", "ftp://h/c", "Content-Location", "mailto:h"), nil},
		{"no host is known", "/a", "", fields("Location", "http://h/c", "Content-Location", "/d"), []string{"/d"}},
		{"the root", "/a", "h", fields("Location", "http://h"), []string{"/"}},
		{"escaped", "/a", "h", fields("Location", "/c%2Fd"), []string{"/c%2Fd"}},
		{"invalid", "/a", "h", fields("Location", "http://[/", "Content-Location", "%"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target, err := url.Parse(tc.target)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range rfc9111.Invalidated(target, tc.host, 201, tc.response) {
				got = append(got, u.String())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if target.String() != tc.target {
				t.Errorf("the target has become %s", target)
			}
		})
	}
}

// RFC 9110 §15.4.4: a redirection after a change says where to go next.
func TestInvalidatedByRedirection(t *testing.T) {
	got := rfc9111.Invalidated(&url.URL{Path: "/a"}, "h", 303, fields("Location", "/", "Content-Location", "/b"))
	if len(got) != 1 || got[0].Path != "/b" {
		t.Errorf("%v, want /b", got)
	}
}

func FuzzInvalidated(f *testing.F) {
	for _, s := range []string{"/c", "../c?d", "//h/c", "http://h:80/", "mailto:x", "http:c", "?", "#", "%", "///x", "http://u@h/c"} {
		f.Add("/a/b", "h", s)
	}
	f.Fuzz(func(t *testing.T, path, host, location string) {
		target, err := url.ParseRequestURI(path)
		if err != nil {
			t.Skip()
		}
		for _, u := range rfc9111.Invalidated(target, host, 201, http.Header{"Location": {location}}) {
			if u.Host != "" || u.Scheme != "" || u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.RequestURI(), "/") {
				t.Errorf("%q to %q is %#v", location, path, u)
			}
		}
	})
}
