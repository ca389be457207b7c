//go:build !windows

package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server that belongs to one test. Its methods may be called from any goroutine of the test; what
// goes wrong in them fails the test without stopping it.
type Server struct {
	t    testing.TB
	role role
	path string
	dir  string
	args []string
	port *port
	bus  *port // on which the nodes of a Cluster talk; nil in other roles

	mu   sync.Mutex // held while the process changes its state
	proc *process
}

// Start returns a server that answers on 127.0.0.1, has no data and persists none. args are added to its command
// line, after our own, so that they win: Start(t, "--maxmemory", "2mb").
//
// Without a redis-server on the PATH the test fails. TIERCACHE_SKIP_REDIS=1 turns that into a skip, but never where CI
// is set.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, standalone, args...)
}

func start(t testing.TB, role role, args ...string) *Server {
	t.Helper()
	path := lookPath(t)
	s := &Server{t: t, role: role, path: path, dir: t.TempDir(), args: args}
	// A port that was free a moment ago can be somebody else's by now: then the server exits, and the next one is tried.
	for range 10 {
		if err := s.reserve(); err != nil {
			t.Fatalf("redistest: %v", err)
		}
		err := s.launch()
		if err == nil {
			t.Cleanup(s.close)
			return s
		}
		s.release()
		if !errors.Is(err, errPortTaken) {
			t.Fatalf("redistest: %v", err)
		}
	}
	t.Fatal("redistest: every port tried was taken by another program")
	return nil
}

// Addr is the server's host:port; a restart doesn't change it.
func (s *Server) Addr() string { return s.port.addr() }

// Client returns a client with go-redis's defaults, like most users'. The end of t closes it, before the server ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	return closedWith(t, redis.NewClient(&redis.Options{Addr: s.Addr()}))
}

// closedWith has the end of t close the client.
func closedWith[C io.Closer](t testing.TB, client C) C {
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			t.Errorf("redistest: closing the client: %v", err)
		}
	})
	return client
}

// UserClient makes a user of the server with exactly these rights, and returns its client.
func (s *Server) UserClient(t testing.TB, name string, rights ...string) *redis.Client {
	t.Helper()
	args := []any{"ACL", "SETUSER", name, "reset", "on", ">secret"}
	for _, r := range rights {
		args = append(args, r)
	}
	s.Do(args...)
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: name, Password: "secret"})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Do runs one command over a connection of its own, as somebody with redis-cli would. A nil reply is nil.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	v, err := s.do(args...)
	if err != nil {
		s.t.Errorf("redistest: %v", err)
	}
	return v
}

func (s *Server) do(args ...any) (v any, err error) {
	err = s.ask(func(ctx context.Context, r *redis.Client) error {
		if v, err = r.Do(ctx, args...).Result(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("%v: %w", args, err)
		}
		return nil
	})
	return v, err
}

// ask lends f a client that doesn't try twice.
func (s *Server) ask(f func(ctx context.Context, r *redis.Client) error) error {
	r := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
	defer r.Close()
	return f(context.Background(), r)
}

// up reports whether the server runs and isn't frozen.
func (s *Server) up() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.proc.done:
		return false
	default:
		return !stopped(s.proc.cmd.Process.Pid)
	}
}

// Kill ends the server as a crash does (SIGKILL) and returns when it is gone. Killing a dead server does nothing.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.kill()
}

// Freeze stops the server in its tracks (SIGSTOP): connections stay open, nothing is answered. It returns when the
// server has stopped.
func (s *Server) Freeze() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.freeze(); err != nil {
		s.t.Errorf("redistest: freezing %s: %v", s.Addr(), err)
	}
}

// Thaw lets a frozen server go on (SIGCONT), beginning with what it was sent meanwhile.
func (s *Server) Thaw() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.thaw(); err != nil {
		s.t.Errorf("redistest: thawing %s: %v", s.Addr(), err)
	}
}

// Restart kills the server if it still runs, starts it on the same port and returns when it answers. Its data is gone,
// unless Start's arguments asked for persistence.
func (s *Server) Restart() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.kill()
	if err := s.launch(); err != nil {
		s.t.Errorf("redistest: restarting: %v", err)
	}
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	log, err := os.Create(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return fmt.Errorf("redis-server's log: %w", err)
	}
	defer log.Close() // the process has its own copy

	args, err := s.commandLine()
	if err != nil {
		return err
	}
	p, err := startProcess(s.path, args, log)
	if err != nil {
		return err
	}
	s.proc = p
	if err := p.awaitReady(s.Addr()); err != nil {
		p.kill()
		return explain(err, log.Name())
	}
	return nil
}

func (s *Server) close() {
	s.Kill()
	s.release()
}
