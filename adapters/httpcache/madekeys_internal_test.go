package httpcache

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"testing"
)

// madeFor returns the madeKey that a hit of the request leaves; nil if it leaves none.
func madeFor(k *keyMaker, r *http.Request) *madeKey {
	k.made = new(madeKeys)
	k.made.seed = madeSeed
	slot := k.made.slot(r)
	if slot == nil {
		return nil
	}
	if key, _ := k.primary(r, false); key != "" {
		k.made.remember(slot, r, r.RequestURI, key)
	}
	return slot.Load()
}

var madeSeed = newKeyMaker(&Options{}).made.seed

// A remembered key is only for requests that have this key: of all pairs of requests that differ somewhere.
func TestMadeKeysAreTheKeys(t *testing.T) {
	var requests []*http.Request
	for _, u := range []url.URL{
		{Path: "/"}, {Path: "/a"}, {Path: "/A"}, {Path: "/a", RawQuery: "b=1"}, {Path: "/a", RawQuery: "b=1&a=2"}, {Path: "/a", RawQuery: "a=2&b=1"},
		{Path: "/a", ForceQuery: true}, {Path: "/a?b=1"}, {Path: "/a b"}, {Path: "/a/b", RawPath: "/a%2Fb"}, {Path: "/a/b"}, {Path: "/a", RawQuery: "b#c"},
		{Path: "/a#b"}, {Path: "/a", RawQuery: "utm_x=1"}, {Opaque: "a"}, {Path: "/a", User: url.User("u")}, {Path: "*"},
		{Path: "/a", Host: "g"}, {Opaque: "b"}, {}, {Path: "a b"}, {Path: "a b", User: url.User("u")},
	} {
		for _, target := range []string{"", "/a", "/a?", "/a?b=1", "/a?b=1&a=2", "/a#b", "/a?b#c", "/a%20b", "/a%2Fb", "/a/b", "http://h/a", "https://h/a", "/x/a", "*", "a%20b"} {
			for _, scheme := range []string{"", "http", "https"} {
				for _, host := range []string{"h", "H", "h:80", "h:443", ""} {
					for _, conn := range []*tls.ConnectionState{nil, {}} {
						u := u
						u.Scheme = scheme
						requests = append(requests, &http.Request{Method: "GET", URL: &u, RequestURI: target, Host: host, TLS: conn, Header: http.Header{}})
					}
				}
			}
		}
	}
	k := newKeyMaker(&Options{IgnoreQuery: []string{"utm_*"}})
	keys := make([]string, len(requests))
	for i, r := range requests {
		keys[i], _ = k.primary(r, false)
	}
	made, shared := 0, 0
	for _, first := range requests {
		m := madeFor(&k, first)
		if m == nil {
			continue
		}
		made++
		for i, r := range requests {
			if k.made.slot(r) == nil || !m.isFor(r) {
				continue
			}
			shared++
			if m.key != keys[i] {
				t.Fatalf("the key of %+v (%+v) was remembered for %+v (%+v): %q, want %q", first, first.URL, r, r.URL, m.key, keys[i])
			}
		}
	}
	if made < 100 || shared < made {
		t.Errorf("%d keys were remembered, for %d requests", made, shared)
	}
}

// No keys are remembered where they are made of more than the URL and the host.
func TestOtherKeysArentMade(t *testing.T) {
	user := func(*http.Request) string { return "u" }
	for _, o := range []Options{
		{KeyHeaders: []string{"X-A"}}, {User: user}, {Private: true, User: user}, {Key: user},
	} {
		k := newKeyMaker(&o)
		if k.made.slot(&http.Request{Method: "GET", URL: &url.URL{Path: "/a"}, Host: "h"}) != nil {
			t.Errorf("%+v", o)
		}
	}
}
