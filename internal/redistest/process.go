//go:build !windows

package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

var (
	errPortTaken = errors.New("the port is taken")
	errExited    = errors.New("redis-server exited")
)

// process is one run of redis-server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and was waited for
}

func startProcess(path string, args []string, log *os.File) (*process, error) {
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting redis-server: %w", err)
	}
	return p, nil
}

// run starts the process and waits for its end on one thread: with Pdeathsig, Linux kills the process when the thread that
// forked it ends, which may be in the middle of a test.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // a killed process is no error here
		close(p.done)
	}
}

// awaitReady waits until the process answers on addr.
func (p *process) awaitReady(addr string) error {
	const patience = 15 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if respondsAs(addr, p.cmd.Process.Pid) {
			return nil
		}
		select {
		case <-p.done:
			return errExited
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("redis-server didn't answer on %s within %v", addr, patience)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails if the process has already ended
	<-p.done
}

// freeze stops the process and returns when it has stopped: the signal takes effect later.
func (p *process) freeze() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if stopped(p.cmd.Process.Pid) {
			return nil
		}
		select {
		case <-p.done:
			return errExited
		case <-time.After(time.Millisecond):
		}
	}
	return errors.New("the process doesn't stop")
}

func (p *process) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

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
