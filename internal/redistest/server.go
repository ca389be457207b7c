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

	"github.com/tiercache/tiercache/internal/child"
)

// Server is a redis-server for one test. Its methods may be called from any goroutine of the test. If one fails, it calls
// t.Errorf.
type Server struct {
	t    testing.TB
	role role
	path string
	dir  string
	args []string
	port *port
	bus  *port // the cluster bus port; nil in other roles

	mu        sync.Mutex // held while the process changes its state
	proc      *process
	disturbed bool // by the test: it was killed or frozen
}

// Start returns a server that answers on 127.0.0.1, has no data and persists none. args are added to the end of its command
// line, so that they override Start's own: Start(t, "--maxmemory", "2mb").
//
// The server is the redis-server on the PATH, or the program that TIERCACHE_REDIS_SERVER names, such as a valkey-server. Without
// it the test fails. With TIERCACHE_SKIP_REDIS=1 it is skipped instead, unless CI is set.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, standalone, args...)
}

func start(t testing.TB, role role, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, role: role, path: lookPath(t), args: args}
	if !idle.lend(s) {
		if err := s.start(); err != nil {
			t.Fatalf("redistest: %v", err)
		}
	}
	t.Cleanup(s.close)
	return s
}

// start starts the process in a directory and on a port of its own.
func (s *Server) start() (err error) {
	if s.dir, err = os.MkdirTemp("", "redistest"); err != nil {
		return fmt.Errorf("the server's directory: %w", err)
	}
	// Another program may have taken the port meanwhile. Then the server exits, and the next port is tried.
	for range 10 {
		if err = s.reserve(); err != nil {
			break
		}
		if err = s.launch(); err == nil {
			return nil
		}
		s.release()
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	_ = os.RemoveAll(s.dir)
	return err
}

// Addr returns the server's host:port. A restart doesn't change it.
func (s *Server) Addr() string { return s.port.addr() }

// Client returns a client with go-redis's defaults. It is closed when t ends, before the server ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	return closeOnCleanup(t, redis.NewClient(&redis.Options{Addr: s.Addr()}))
}

// closeOnCleanup closes the client when t ends.
func closeOnCleanup[C io.Closer](t testing.TB, client C) C {
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			t.Errorf("redistest: closing the client: %v", err)
		}
		var none C
		client = none // testing keeps this function, and all that it refers to, until the last parallel test ends
	})
	return client
}

// UserClient creates a user with exactly these rights on the server, and returns a client for it.
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

// Do runs one command over a connection of its own, as redis-cli would. It returns nil for a nil reply.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	v, err := s.do(args...)
	if err != nil {
		s.t.Errorf("redistest: %v", err)
	}
	return v
}

func (s *Server) do(args ...any) (v any, err error) {
	err = s.withClient(func(ctx context.Context, r *redis.Client) error {
		if v, err = r.Do(ctx, args...).Result(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("%v: %w", args, err)
		}
		return nil
	})
	return v, err
}

// withClient calls f with a client that doesn't retry.
func (s *Server) withClient(f func(ctx context.Context, r *redis.Client) error) error {
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
	case <-s.proc.Done:
		return false
	default:
		return !child.Stopped(s.proc.Cmd.Process.Pid)
	}
}

// Kill kills the server as a crash would (SIGKILL) and returns when it has ended. Killing a dead server does nothing.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.Kill()
	s.disturbed = true
}

// Freeze stops the server (SIGSTOP): connections stay open, and no request is answered. It returns when the
// server has stopped.
func (s *Server) Freeze() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disturbed = true
	if err := s.proc.Freeze(); err != nil {
		s.t.Errorf("redistest: freezing %s: %v", s.Addr(), err)
	}
}

// Thaw resumes a frozen server (SIGCONT). It processes the requests that were sent meanwhile.
func (s *Server) Thaw() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.Thaw(); err != nil {
		s.t.Errorf("redistest: thawing %s: %v", s.Addr(), err)
	}
}

// Restart kills the server if it is running, starts it on the same port and returns when it answers. Its data is lost,
// unless Start's arguments enabled persistence.
func (s *Server) Restart() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.Kill()
	s.disturbed = true
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
		p.Kill()
		return withLog(err, log.Name())
	}
	return nil
}

// close is called when the server's test has ended.
func (s *Server) close() {
	if idle.keep(s) {
		return
	}
	if err := s.end(); err != nil {
		s.t.Errorf("redistest: %v", err)
	}
}

func (s *Server) end() error {
	s.Kill()
	s.release()
	return os.RemoveAll(s.dir)
}
