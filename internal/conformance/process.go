package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"
)

const patience = 10 * time.Second // for a server to start, or to end when it is asked to

// process is a server that this program has started.
type process struct {
	url string // where it listens, from the first line that it prints

	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when it has ended
	err  error         // the result of Wait, once done is closed
}

// start starts a server and returns when it listens. Its output goes to the log.
func start(ctx context.Context, log string, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	var err error
	if p.log, err = os.Create(log); err != nil {
		return nil, err
	}
	heard := &urlFinder{log: p.log, url: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = heard, heard
	if _, err = cmd.StdinPipe(); err == nil { // it is closed when this program ends
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, p.log.Close())
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	select {
	case p.url = <-heard.url:
		return p, nil
	case <-p.done:
		err = fmt.Errorf("%s ended: %w; see %s", cmd.Path, p.err, log)
	case <-time.After(patience):
		err = fmt.Errorf("%s hasn't printed where it listens; see %s", cmd.Path, log)
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, p.end())
}

// end asks the server to exit, and kills it if it doesn't.
func (p *process) end() error {
	defer p.log.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if it has already ended
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("%s had to be killed; see %s", p.cmd.Path, p.log.Name()), err)
}

func endInto(p interface{ end() error }, err *error) { *err = errors.Join(*err, p.end()) }

// urlFinder copies a server's output to its log, and finds the first URL in it.
type urlFinder struct {
	log io.Writer

	mu    sync.Mutex
	found bool
	url   chan string
}

var address = regexp.MustCompile(`http://[\w.]+:\d+`)

func (l *urlFinder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if url := address.Find(p); url != nil && !l.found {
		l.found = true
		l.url <- string(url)
	}
	return l.log.Write(p)
}
