//go:build !windows

package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/internal/child"
)

var (
	errPortTaken = errors.New("the port is taken")
	errExited    = errors.New("redis-server exited")
)

// process is one run of redis-server.
type process struct{ *child.Process }

func startProcess(path string, args []string, log *os.File) (*process, error) {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("starting redis-server: %w", err)
	}
	return &process{p}, nil
}

// awaitReady waits until the process answers on addr.
func (p *process) awaitReady(addr string) error {
	const patience = 15 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if respondsAs(addr, p.Cmd.Process.Pid) {
			return nil
		}
		select {
		case <-p.Done:
			return errExited
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("redis-server didn't answer on %s within %v", addr, patience)
}

// withLog adds the server's log to the error with which it failed to start.
func withLog(err error, logFile string) error {
	log, readErr := os.ReadFile(logFile)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if errors.Is(err, errExited) && bytes.Contains(log, []byte("Address already in use")) {
		err = errPortTaken
	}
	return fmt.Errorf("%w; its log:\n%s", err, log)
}
