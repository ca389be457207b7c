package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/promcache"
	"github.com/tiercache/tiercache/examples/internal/redisdb"
)

func TestInspector(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		h, err := newSite(&p.api, promcache.New(), p.redis)
		must(t, err)
		site := httptest.NewServer(h)
		t.Cleanup(site.Close)
		read := func(response *http.Response, err error) string {
			must(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			must(t, err)
			return string(body)
		}
		get := func(path string) string { return read(http.Get(site.URL + path)) }
		if user := get("/api/v1/users/7"); !strings.Contains(user, `"id":7`) {
			t.Fatal(user)
		}
		for path, text := range map[string]string{
			"": "Caches of users", "keys?c=users": ">7</a>", "key?c=users&key=7": "A read now: hit", "keys?c=users-pages": "/api/v1/users/7",
		} {
			if page := get(inspectorPath + "/" + path); !strings.Contains(page, text) {
				t.Errorf("%s has no %q: %s", path, text, page)
			}
		}
		page := read(http.PostForm(site.URL+inspectorPath+"/purge", url.Values{"c": {"users"}, "what": {"key"}, "name": {"7"}}))
		if !strings.Contains(page, "Done.") || !strings.Contains(get(inspectorPath+"/key?c=users&key=7"), "A read now: miss") {
			t.Error(page)
		}
	})
}

func TestFromHere(t *testing.T) {
	for _, c := range []struct {
		from, host string
		allowed    bool
	}{
		{"127.0.0.1:1234", "localhost:8080", true},
		{"127.0.0.1:1234", "127.0.0.1:8080", true},
		{"[::1]:1234", "localhost", true},
		{"[::ffff:127.0.0.1]:1234", "localhost", true},
		{"127.0.0.1:1234", "evil.example:8080", false},
		{"127.0.0.1:1234", "192.0.2.7:8080", false},
		{"192.0.2.7:1234", "localhost:8080", false},
		{"@", "localhost", false},
	} {
		err := fromHere(&http.Request{RemoteAddr: c.from, Host: c.host})
		if (err == nil) != c.allowed {
			t.Errorf("from %s to %s: %v", c.from, c.host, err)
		}
	}
}
