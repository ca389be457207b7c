//go:build !windows

// Package child runs processes for tests, which end with the test binary: on Linux also if that is killed and runs no cleanup.
package child

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a process that was started.
type Process struct {
	Cmd  *exec.Cmd
	Done chan struct{} // closed when the process has ended and was waited for
	Err  error         // the result of Wait, once Done is closed
}

// Start starts the command. On Linux the process gets the signal when this one dies.
func Start(cmd *exec.Cmd, death syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	signalAtDeath(cmd.SysProcAttr, death)
	p := &Process{Cmd: cmd, Done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run starts the process and waits for its end on one thread: with Pdeathsig, Linux kills the process when the thread that
// forked it ends, which may be in the middle of a test.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.Cmd.Start()
	started <- err
	if err == nil {
		p.Err = p.Cmd.Wait()
		close(p.Done)
	}
}

// Kill kills the process, and returns when it has ended. It does nothing if it has ended already.
func (p *Process) Kill() { p.End(syscall.SIGKILL) }

// End sends the process a signal that ends it, and returns when it has ended.
func (p *Process) End(s syscall.Signal) {
	_ = p.Cmd.Process.Signal(s) // it fails if the process has already ended
	<-p.Done
}

// Freeze stops the process and returns when it has stopped.
func (p *Process) Freeze() error { return Freeze(p.Cmd.Process) }

// Freeze stops a process and returns when it has stopped: the signal takes effect later.
func Freeze(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); !Stopped(p.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("the process doesn't stop")
		}
	}
	return nil
}

// Thaw continues a process that was stopped.
func (p *Process) Thaw() error { return p.Cmd.Process.Signal(syscall.SIGCONT) }
