package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/examples/internal/redisdb"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEachRedis runs a test on the embedded Redis and on a real one.
func onEachRedis(t *testing.T, test func(t *testing.T, server *redisdb.Redis)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		r, err := redisdb.Open("")
		must(t, err)
		closedWith(t, r)
		test(t, r)
	})
	t.Run("real", func(t *testing.T) { test(t, realRedis(t, redistest.Start(t))) })
}

func realRedis(t *testing.T, s *redistest.Server) *redisdb.Redis {
	t.Helper()
	r, err := redisdb.Open("redis://" + s.Addr())
	must(t, err)
	closedWith(t, r)
	return r
}

func newDB(t *testing.T) *userdb.DB {
	t.Helper()
	db, err := userdb.Open(t.Context(), 100)
	must(t, err)
	closedWith(t, db)
	return db
}

// process stands for one process of the service. A test may have several.
type process struct {
	api
	t     *testing.T
	redis *tiered.Redis
	url   string
}

func newProcess(t *testing.T, db *userdb.DB, r *redisdb.Redis) *process {
	t.Helper()
	p := &process{t: t, api: api{db: db}}
	var err error
	p.redis, err = tiered.NewRedis(r.Client, tiered.RedisOptions{Invalidation: r.Invalidation, Timeout: 10 * time.Second}) // long enough for a busy machine
	must(t, err)
	closedWith(t, p.redis)
	p.service, err = NewService(db, p.redis, nil)
	must(t, err)
	closedWith(t, p.service)
	p.pages, err = newPages(p.redis)
	must(t, err)
	closedWith(t, p.pages)
	server := httptest.NewServer(p.handler())
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// do makes a request; field is a header field with its value, or empty.
func (p *process) do(method, path, body, field string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	must(p.t, err)
	if name, value, ok := strings.Cut(field, ": "); ok {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	must(p.t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	must(p.t, err)
	return response, string(got)
}

func (p *process) get(path string) (*http.Response, string) {
	p.t.Helper()
	return p.do(http.MethodGet, path, "", "")
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

func TestRunServesUntilItIsStopped(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "localhost:0"}, write)
		write.Close()
		ended <- err
	}()

	url, lines := "", bufio.NewScanner(read)
	for url == "" && lines.Scan() {
		url = regexp.MustCompile(`http://localhost:\d+`).FindString(lines.Text())
	}
	said := make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(read)
		said <- string(rest)
	}()
	response, err := http.Get(url + listPath)
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
	if rest := <-said; !strings.HasSuffix(rest, "Stopping.\n") {
		t.Errorf("the end of run's output: %q", rest)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown flag":   {"-nope"},
		"a wrong Redis URL": {"-redis", "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), args, io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestServeRefusesAWrongAddress(t *testing.T) {
	if err := serve(t.Context(), io.Discard, "localhost:-1", nil); err == nil {
		t.Error("no error")
	}
}
