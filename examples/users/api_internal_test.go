package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const (
	grace     = `{"name":"Grace","email":"grace@example.com","city":"Ghent"}`
	cacheName = "users-pages"
)

func TestListIsCached(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		db := newDB(t)
		p := newProcess(t, db, server)
		first, body := p.get(listPath)
		if got, want := first.Header.Get("Cache-Status"), cacheName+"; fwd=uri-miss; stored"; got != want {
			t.Errorf("first: Cache-Status is %q, want %q", got, want)
		}
		var users []userdb.User
		must(t, json.Unmarshal([]byte(body), &users))
		if len(users) != 20 || users[0].ID != 1 {
			t.Errorf("first: %d users, want 20 from user 1", len(users))
		}

		etag := ""
		for _, path := range []string{listPath, listPath + "?skip=0", listPath + "?limit=20&skip=0&other=1"} {
			hit, same := p.get(path)
			if got := hit.Header.Get("Cache-Status"); !strings.HasPrefix(got, cacheName+"; hit; ttl=") {
				t.Errorf("%s: Cache-Status is %q, want a hit", path, got)
			}
			if hit.Header.Get("Age") == "" || same != body {
				t.Errorf("%s: Age %q, want one; the same body: %v", path, hit.Header.Get("Age"), same == body)
			}
			etag = hit.Header.Get("ETag")
		}
		notModified, empty := p.do(http.MethodGet, listPath, "", "If-None-Match: "+etag)
		if notModified.StatusCode != http.StatusNotModified || empty != "" {
			t.Errorf("If-None-Match: %s with %d bytes, want 304 with none", notModified.Status, len(empty))
		}

		other := newProcess(t, db, server)
		if _, same := other.get(listPath); same != body || other.pages.Stats().Tiers.RemoteHits != 1 {
			t.Errorf("another process: the same body: %v, RemoteHits %d, want 1", same == body, other.pages.Stats().Tiers.RemoteHits)
		}
	})
}

func TestListInRedis(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		p.get(listPath + "?skip=0&limit=20")
		ttl, err := server.Client.TTL(t.Context(), "tc:"+cacheName+":get:/api/v1/users:limit=20&skip=0").Result()
		if err != nil || ttl <= time.Minute || ttl > 95*time.Second {
			t.Errorf("the page's key has the TTL %v, %v, want a minute and a half, and the time for a lease", ttl, err)
		}
	})
}

func TestUpdateIsSeenAtOnce(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		db := newDB(t)
		p := newProcess(t, db, server)
		_, before := p.get(listPath + "/7")
		_, pageBefore := p.get(listPath)
		p.get(listPath + "/7")
		if n, hits := p.service.Stats().Loads, p.pages.Stats().Hits; n != 1 || hits != 1 {
			t.Errorf("two GETs: %d loads, %d hits, want 1 and 1", n, hits)
		}

		updated, body := p.do(http.MethodPut, listPath+"/7", grace, "")
		if updated.StatusCode != http.StatusOK || !strings.Contains(body, `"name":"Grace"`) {
			t.Errorf("PUT: %s, %s", updated.Status, body)
		}
		if _, after := p.get(listPath + "/7"); after != body || after == before {
			t.Errorf("GET after PUT: %s, want %s", after, body)
		}
		// A new process gets it, too: Redis doesn't have the old one.
		if _, after := newProcess(t, db, server).get(listPath + "/7"); after != body {
			t.Errorf("GET of another process: %s, want %s", after, body)
		}
		if _, page := p.get(listPath); page == pageBefore || !strings.Contains(page, "Grace") {
			t.Error("the cached page is still served")
		}
	})
}

func TestCardAndJSON(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		for range 2 {
			for accept, want := range map[string]string{"application/json": `{"id":7,`, cardType: "BEGIN:VCARD"} {
				r, body := p.do(http.MethodGet, listPath+"/7", "", "Accept: "+accept)
				if !strings.HasPrefix(body, want) || !strings.HasPrefix(r.Header.Get("Content-Type"), accept) || r.Header.Get("Vary") != "Accept" {
					t.Errorf("%s: %v, %s", accept, r.Header, body)
				}
			}
		}
		if s := p.pages.Stats(); s.Stored != 2 || s.Hits != 2 {
			t.Errorf("%d stored, %d hits, want 2 and 2", s.Stored, s.Hits)
		}
	})
}

func TestUpdateWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	r := &redisdb.Redis{Client: redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})}
	closedWith(t, r)
	p := newProcess(t, newDB(t), r)
	p.get(listPath + "/7")
	server.Kill()
	updated, body := p.do(http.MethodPut, listPath+"/7", grace, "")
	if updated.StatusCode != http.StatusOK {
		t.Errorf("PUT: %s", updated.Status)
	}
	if _, after := p.get(listPath + "/7"); after != body {
		t.Errorf("GET after PUT: %s, want %s", after, body)
	}
	if list, _ := p.get(listPath); list.StatusCode != http.StatusOK {
		t.Errorf("GET of the list: %s", list.Status)
	}
}

func TestNoSuchUserIsRemembered(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		for range 3 {
			if r, body := p.get(listPath + "/101"); r.StatusCode != http.StatusNotFound {
				t.Errorf("GET: %s, %s", r.Status, body)
			}
		}
		if n := p.service.Stats().Loads; n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
		if r, body := p.do(http.MethodPut, listPath+"/101", grace, ""); r.StatusCode != http.StatusNotFound {
			t.Errorf("PUT: %s, %s", r.Status, body)
		}
	})
}

func TestBadRequests(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		for _, c := range []struct{ method, path, body string }{
			{http.MethodGet, "?limit=0", ""},
			{http.MethodGet, "?limit=x", ""},
			{http.MethodGet, "?skip=-1", ""},
			{http.MethodGet, "/0", ""},
			{http.MethodGet, "/x", ""},
			{http.MethodPut, "/x", grace},
			{http.MethodPut, "/7", ""},
			{http.MethodPut, "/7", `{"name":"Grace"}`},
			{http.MethodPut, "/7", `{"name":"` + strings.Repeat("x", maxProfile) + `"}`},
		} {
			if r, body := p.do(c.method, listPath+c.path, c.body, ""); r.StatusCode != http.StatusBadRequest || !strings.Contains(body, `{"error":`) {
				t.Errorf("%s %s %.40s: %s, %s, want 400 and an error", c.method, c.path, c.body, r.Status, body)
			}
		}
		if n := p.pages.Stats().Stored; n != 0 {
			t.Errorf("%d answers were stored, want none", n)
		}
	})
}

func TestStats(t *testing.T) {
	onEachRedis(t, func(t *testing.T, server *redisdb.Redis) {
		p := newProcess(t, newDB(t), server)
		p.get(listPath)
		p.get(listPath + "/7")
		_, body := p.get("/stats")
		var s struct {
			Pages httpcache.Stats
			Users tiered.Stats
		}
		must(t, json.Unmarshal([]byte(body), &s))
		if s.Pages.Stored != 2 || s.Users.Loads != 1 {
			t.Errorf("%d pages stored, %d users loaded, want 2 and 1: %s", s.Pages.Stored, s.Users.Loads, body)
		}
	})
}
