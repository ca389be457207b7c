package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp updates the Date field in a goroutine that never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// This goroutine sleeps for 10 s more after the shutdown.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

func TestList(t *testing.T) {
	t.Run("embedded Redis", func(t *testing.T) {
		r, err := redisdb.Open("")
		must(t, err)
		closedWith(t, r)
		testList(t, r)
	})
	t.Run("real Redis", func(t *testing.T) {
		testList(t, newRedis(t))
	})
}

func testList(t *testing.T, server *redisdb.Redis) {
	db, err := userdb.Open(t.Context(), 100)
	must(t, err)
	closedWith(t, db)

	app, _ := newProcess(t, db, server)
	first, body := get(t, app, "")
	if got, want := first.Header.Get("Cache-Status"), "usersfiber-pages; fwd=uri-miss; stored"; got != want {
		t.Errorf("first: Cache-Status is %q, want %q", got, want)
	}
	var page []userdb.User
	must(t, json.Unmarshal([]byte(body), &page))
	if len(page) != 20 || page[0].ID != 1 {
		t.Errorf("first: %d users, want 20 from user 1", len(page))
	}
	hit, same := get(t, app, "")
	if got := hit.Header.Get("Cache-Status"); !strings.HasPrefix(got, "usersfiber-pages; hit; ttl=") || same != body {
		t.Errorf("second: Cache-Status is %q, want a hit; the same body: %v", got, same == body)
	}
	if r, empty := get(t, app, "", "If-None-Match: "+hit.Header.Get("ETag")); r.StatusCode != http.StatusNotModified || empty != "" {
		t.Errorf("If-None-Match: %s with %d bytes, want 304 with none", r.Status, len(empty))
	}

	other, pages := newProcess(t, db, server)
	if _, same := get(t, other, ""); same != body || pages.Stats().Tiers.RemoteHits != 1 {
		t.Errorf("another process: the same body: %v, RemoteHits %d, want 1", same == body, pages.Stats().Tiers.RemoteHits)
	}
}

func TestUpdateIsSeenAtOnce(t *testing.T) {
	server := newRedis(t)
	db, err := userdb.Open(t.Context(), 100)
	must(t, err)
	closedWith(t, db)
	app, pages := newProcess(t, db, server)
	_, userBefore := get(t, app, "/7")
	_, listBefore := get(t, app, "")
	_, otherBefore := get(t, app, "/8")
	get(t, app, "/7")
	if n := pages.Stats().Hits; n != 1 {
		t.Errorf("%d hits, want 1", n)
	}

	if r, body := do(t, app, http.MethodPut, "/7", `{"name":"Grace"}`); r.StatusCode != http.StatusBadRequest {
		t.Errorf("PUT of a name: %s, %s", r.Status, body)
	}
	if _, after := get(t, app, "/7"); after != userBefore {
		t.Errorf("GET after a PUT that failed: %s", after)
	}
	updated, body := do(t, app, http.MethodPut, "/7", `{"name":"Grace","email":"grace@example.com","city":"Ghent"}`)
	if updated.StatusCode != http.StatusOK || !strings.Contains(body, `"name":"Grace"`) {
		t.Errorf("PUT: %s, %s", updated.Status, body)
	}
	if _, after := get(t, app, "/7"); after != body {
		t.Errorf("GET after PUT: %s, want %s", after, body)
	}
	if _, after := get(t, app, ""); after == listBefore || !strings.Contains(after, "Grace") {
		t.Error("the old list is still served")
	}
	if r, after := get(t, app, "/8"); after != otherBefore || !strings.Contains(r.Header.Get("Cache-Status"), "; hit") {
		t.Errorf("another user is no longer cached: %v", r.Header)
	}
	// A new process gets it, too: Redis doesn't have the old one.
	other, _ := newProcess(t, db, server)
	if _, after := get(t, other, "/7"); after != body {
		t.Errorf("GET of another process: %s, want %s", after, body)
	}
}

func TestJSONAndXML(t *testing.T) {
	db, err := userdb.Open(t.Context(), 100)
	must(t, err)
	closedWith(t, db)
	app, pages := newProcess(t, db, newRedis(t))
	for range 2 {
		for accept, want := range map[string]string{"application/json": `{"id":7,`, "application/xml": "<User>"} {
			r, body := get(t, app, "/7", "Accept: "+accept)
			if !strings.HasPrefix(body, want) || !strings.HasPrefix(r.Header.Get("Content-Type"), accept) || r.Header.Get("Vary") != "Accept" {
				t.Errorf("%s: %v, %s", accept, r.Header, body)
			}
		}
	}
	if s := pages.Stats(); s.Stored != 2 || s.Hits != 2 {
		t.Errorf("%d stored, %d hits, want 2 and 2", s.Stored, s.Hits)
	}
}

func TestBadRequests(t *testing.T) {
	db, err := userdb.Open(t.Context(), 100)
	must(t, err)
	closedWith(t, db)
	app, pages := newProcess(t, db, newRedis(t))
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "?limit=0", "", http.StatusBadRequest},
		{http.MethodGet, "/0", "", http.StatusBadRequest},
		{http.MethodGet, "/x", "", http.StatusBadRequest},
		{http.MethodGet, "/101", "", http.StatusNotFound},
		{http.MethodPut, "/x", "{}", http.StatusBadRequest},
		{http.MethodPut, "/7", "", http.StatusBadRequest},
		{http.MethodPut, "/101", `{"name":"Grace","email":"grace@example.com","city":"Ghent"}`, http.StatusNotFound},
	} {
		if r, body := do(t, app, c.method, c.path, c.body); r.StatusCode != c.status || !strings.Contains(body, `{"error":`) {
			t.Errorf("%s %s %s: %s, %s, want %d and an error", c.method, c.path, c.body, r.Status, body, c.status)
		}
	}
	if n := pages.Stats().Stored; n != 0 {
		t.Errorf("%d answers were stored, want none", n)
	}
}

// newRedis returns a client of a new server.
func newRedis(t *testing.T) *redisdb.Redis {
	t.Helper()
	r, err := redisdb.Open("redis://" + redistest.Start(t).Addr())
	must(t, err)
	closedWith(t, r)
	return r
}

// newProcess returns the app and the cache of one process.
func newProcess(t *testing.T, db *userdb.DB, server *redisdb.Redis) (*fiber.App, *httpcache.Cache) {
	t.Helper()
	r, err := tiered.NewRedis(server.Client, tiered.RedisOptions{Invalidation: server.Invalidation, Timeout: 10 * time.Second}) // long enough for a busy machine
	must(t, err)
	closedWith(t, r)
	pages, err := newPages(r)
	must(t, err)
	closedWith(t, pages)
	return newApp(db, pages), pages
}

func get(t *testing.T, app *fiber.App, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	return do(t, app, http.MethodGet, path, "", fields...)
}

// do makes a request; fields are header fields, like "Accept: text/html".
func do(t *testing.T, app *fiber.App, method, path, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+listPath+path, strings.NewReader(body))
	must(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	response, err := app.Test(r, fiber.TestConfig{})
	must(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	must(t, err)
	return response, string(got)
}

func TestRunServesUntilItIsStopped(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "localhost:0"}, write)
		write.Close()
		ended <- err
	}()
	said := make([]byte, 0, 1024)
	var url []byte
	for part := make([]byte, 256); url == nil; {
		n, err := read.Read(part)
		must(t, err)
		said = append(said, part[:n]...)
		url = regexp.MustCompile(`http://[\d.:]+/\S+limit=3`).Find(said)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	response, err := http.Get(string(url))
	must(t, err)
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusOK {
		t.Errorf("GET: %s", response.Status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closedWith(t *testing.T, c io.Closer) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
