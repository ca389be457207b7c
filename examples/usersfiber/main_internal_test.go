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
		// fasthttp keeps the Date field in a goroutine that never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// After its shutdown this one sleeps for 10 s more.
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
		r, err := redisdb.Open("redis://" + redistest.Start(t).Addr())
		must(t, err)
		closedWith(t, r)
		testList(t, r)
	})
}

func testList(t *testing.T, server *redisdb.Redis) {
	db, err := userdb.Open(t.Context(), 100)
	must(t, err)
	closedWith(t, db)

	app, _ := newProcess(t, db, server)
	first, body := get(t, app, "", "")
	if got, want := first.Header.Get("Cache-Status"), "usersfiber-pages; fwd=uri-miss; stored"; got != want {
		t.Errorf("first: Cache-Status is %q, want %q", got, want)
	}
	var page []userdb.User
	must(t, json.Unmarshal([]byte(body), &page))
	if len(page) != 20 || page[0].ID != 1 {
		t.Errorf("first: %d users, want 20 from user 1", len(page))
	}
	hit, same := get(t, app, "", "")
	if got := hit.Header.Get("Cache-Status"); !strings.HasPrefix(got, "usersfiber-pages; hit; ttl=") || same != body {
		t.Errorf("second: Cache-Status is %q, want a hit; the same body: %v", got, same == body)
	}
	if r, empty := get(t, app, "", hit.Header.Get("ETag")); r.StatusCode != http.StatusNotModified || empty != "" {
		t.Errorf("If-None-Match: %s with %d bytes, want 304 with none", r.Status, len(empty))
	}
	if r, _ := get(t, app, "?limit=0", ""); r.StatusCode != http.StatusBadRequest {
		t.Errorf("?limit=0: %s, want 400", r.Status)
	}

	other, pages := newProcess(t, db, server)
	if _, same := get(t, other, "", ""); same != body || pages.Stats().Tiers.RemoteHits != 1 {
		t.Errorf("another process: the same body: %v, RemoteHits %d, want 1", same == body, pages.Stats().Tiers.RemoteHits)
	}
}

// newProcess makes what one process has.
func newProcess(t *testing.T, db *userdb.DB, server *redisdb.Redis) (*fiber.App, *httpcache.Cache) {
	t.Helper()
	r, err := tiered.NewRedis(server.Client, tiered.RedisOptions{Invalidation: server.Invalidation, Timeout: 10 * time.Second}) // however busy the machine is
	must(t, err)
	closedWith(t, r)
	pages, err := newPages(r)
	must(t, err)
	closedWith(t, pages)
	return newApp(db, pages), pages
}

func get(t *testing.T, app *fiber.App, query, etag string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+listPath+query, nil)
	must(t, err)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	response, err := app.Test(r, fiber.TestConfig{})
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response, string(body)
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
