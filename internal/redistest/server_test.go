//go:build !windows

package redistest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(redistest.Reuse(m)) }

func TestStart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client(t)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := s.Do("GET", "k"); got != "v" {
		t.Errorf("GET k = %v, want v", got)
	}
	if got := s.Do("GET", "absent"); got != nil {
		t.Errorf("GET absent = %v, want nil", got)
	}
	if got := config(t, c, "save"); got != "" {
		t.Errorf("save = %q: the server persists", got)
	}
}

func TestStartWithArguments(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "3mb")
	if got := config(t, s.Client(t), "maxmemory"); got != "3145728" {
		t.Errorf("maxmemory = %s", got)
	}
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	a, b := redistest.Start(t), redistest.Start(t)
	if a.Addr() == b.Addr() {
		t.Fatalf("both on %s", a.Addr())
	}
	a.Do("SET", "k", "a")
	b.Do("SET", "k", "b")
	if got := a.Do("GET", "k"); got != "a" {
		t.Errorf("a has %v", got)
	}
	a.Kill()
	if got := b.Do("GET", "k"); got != "b" {
		t.Errorf("b has %v after a's death", got)
	}
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("SET", "k", "v")
	addr, before := s.Addr(), pid(t, s)

	s.Kill()
	s.Kill() // a second Kill does nothing
	if _, err := net.DialTimeout("tcp", addr, time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling a dead server: %v, want a refusal", err)
	}
	if alive(before) {
		t.Errorf("process %d is still there", before)
	}

	s.Restart()
	if s.Addr() != addr {
		t.Errorf("moved from %s to %s", addr, s.Addr())
	}
	if got := s.Do("GET", "k"); got != nil {
		t.Errorf("k = %v outlived the restart", got)
	}
	s.Restart() // of a running server
	if after := pid(t, s); after == before || alive(before) {
		t.Errorf("process %d, before it %d", after, before)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client(t)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	s.Freeze()
	// By default go-redis ignores the context's deadline, so that the test uses a connection of its own.
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatalf("a frozen server's kernel accepts connections: %v", err)
	}
	defer conn.Close()
	if err := ping(conn, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING to a frozen server: %v, want a timeout", err)
	}

	s.Thaw()
	if err := ping(conn, 10*time.Second); err != nil {
		t.Errorf("PING to a thawed server: %v", err)
	}
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("PING through the client: %v", err)
	}
}

func TestCleanupEndsTheServer(t *testing.T) {
	for name, leave := range map[string]func(*redistest.Server){
		"running": func(*redistest.Server) {},
		"frozen":  (*redistest.Server).Freeze,
		"dead":    (*redistest.Server).Kill,
	} {
		var server int
		var dir string
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t, "--loglevel", "notice") // with an argument it isn't reused
			server, dir = pid(t, s), config(t, s.Client(t), "dir")
			leave(s)
		})
		if alive(server) {
			t.Errorf("%s: process %d outlived its test", name, server)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %s outlived its test: %v", name, dir, err)
		}
	}
}

// A server may be started from a goroutine whose thread ends with it. The server must not end with the thread.
func TestServerOutlivesTheStartersThread(t *testing.T) {
	t.Parallel()
	var s *redistest.Server
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // without an unlock, so that the thread ends here
		s = redistest.Start(t)
	}()
	<-gone
	if s != nil && s.Do("PING") != "PONG" {
		t.Error("no answer")
	}
}

func TestStartTellsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	r := record(t, func(tb testing.TB) { redistest.Start(tb, "--no-such-option", "1") })
	if !strings.Contains(r.fatal, "no-such-option") {
		t.Errorf("failed with %q", r.fatal)
	}
}

func TestWithoutRedis(t *testing.T) {
	for _, tc := range []struct {
		ci, skip string
		skipped  bool
	}{
		{ci: "", skip: "", skipped: false},
		{ci: "", skip: "1", skipped: true},
		{ci: "true", skip: "1", skipped: false},
	} {
		t.Run("CI="+tc.ci+",skip="+tc.skip, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			t.Setenv("TIERCACHE_REDIS_SERVER", "")
			t.Setenv("CI", tc.ci)
			t.Setenv("TIERCACHE_SKIP_REDIS", tc.skip)
			r := record(t, func(tb testing.TB) { redistest.Start(tb) })
			if r.skipped != tc.skipped || (r.fatal == "") != tc.skipped {
				t.Errorf("skipped: %v, failed with %q", r.skipped, r.fatal)
			}
		})
	}
}

func config(t *testing.T, c *redis.Client, name string) string {
	t.Helper()
	got, err := c.ConfigGet(context.Background(), name).Result()
	if err != nil {
		t.Fatal(err)
	}
	return got[name]
}

func pid(t *testing.T, s *redistest.Server) int {
	t.Helper()
	n := s.Number("server", "process_id")
	if n < 0 {
		t.Fatal("INFO has no process_id")
	}
	return n
}

func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func ping(conn net.Conn, patience time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 64))
	return err
}
