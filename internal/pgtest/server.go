//go:build !windows

package pgtest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/child"
)

// programsVariable is the environment variable with the folder of PostgreSQL's programs.
const programsVariable = "TIERCACHE_POSTGRES"

// patience is for how long a server may take to start.
const patience = 30 * time.Second

// Server is a PostgreSQL server.
type Server struct {
	dir  string
	as   *syscall.Credential // nil: as this process
	proc *child.Process
}

// Start returns a server that takes connections. args are added to its command line.
//
// Without PostgreSQL's programs on the PATH, where Debian installs them, or in the folder that TIERCACHE_POSTGRES names, the test fails.
// With TIERCACHE_SKIP_POSTGRES=1 it is skipped instead, unless CI is set.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	programs, err := findPrograms()
	if err != nil {
		if os.Getenv("TIERCACHE_SKIP_POSTGRES") == "1" && os.Getenv("CI") == "" {
			t.Skipf("pgtest: skipped as TIERCACHE_SKIP_POSTGRES asks: %v", err)
		}
		t.Fatalf("pgtest: %v: install PostgreSQL (`make postgres` does on Debian and Ubuntu), or set TIERCACHE_SKIP_POSTGRES=1 to skip", err)
	}
	s := new(Server)
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil { //nolint:usetesting // only root could enter t.TempDir
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	if err := s.start(programs, args); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(s.stop)
	return s
}

// URL returns the connection string of the database postgres, for its superuser.
func (s *Server) URL() string {
	return "postgres://postgres@/postgres?sslmode=disable&host=" + url.QueryEscape(s.dir)
}

// findPrograms returns the folder of the programs initdb and postgres.
func findPrograms() (string, error) {
	var folders []string
	if named := os.Getenv(programsVariable); named != "" {
		folders = []string{named}
	} else {
		if path, err := exec.LookPath("postgres"); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
		debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
		folders = append(folders, debian...)
	}
	for _, dir := range folders {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no PostgreSQL is installed")
}

// start makes the data directory, starts the server, and waits until it takes connections.
func (s *Server) start(programs string, args []string) error {
	if os.Getuid() == 0 {
		if err := s.becomeSomebody(); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.Command(filepath.Join(programs, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = s.dir, s.attributes()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own copy
	cmd := exec.Command(filepath.Join(programs, "postgres"), append([]string{
		"-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=16MB",
	}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, log, log, s.attributes()
	if s.proc, err = child.Start(cmd, syscall.SIGQUIT); err != nil {
		return err
	}
	return s.awaitReady()
}

// becomeSomebody makes the server run as a user that isn't root, who gets the directory.
func (s *Server) becomeSomebody() error {
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err1 := strconv.ParseUint(who.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(who.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

// attributes returns how the server's processes are started.
func (s *Server) attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Credential: s.as} }

// awaitReady waits until the server takes connections: then its file postmaster.pid says so.
func (s *Server) awaitReady() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ready, err := readsReady(filepath.Join(s.dir, "data", "postmaster.pid")); err == nil && ready {
			return nil
		}
		select {
		case <-s.proc.Done:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server has ended; its log:\n%s", log)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.stop()
	return fmt.Errorf("the server took over %v to start", patience)
}

// stop ends the server at once.
func (s *Server) stop() { s.proc.End(syscall.SIGQUIT) }
