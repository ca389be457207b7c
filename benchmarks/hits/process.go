package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const patience = 10 * time.Second // for a server to start, or to end when it is asked to

// process is a server that this program has started.
type process struct {
	name string
	url  string
	cmd  *exec.Cmd
	in   io.Closer // its standard input, which is closed when this program ends
	log  *os.File
	done chan struct{} // closed when it has ended
}

// start starts a server. If url is empty, the server prints where it listens.
func (c *contest) start(name, url string, cmd *exec.Cmd) (*process, error) {
	log, err := os.Create(filepath.Join(c.dir, strings.ReplaceAll(name, "/", "-")+".log"))
	if err != nil {
		return nil, err
	}
	p := &process{name: name, url: url, cmd: cmd, log: log, done: make(chan struct{})}
	cmd.Stderr = log
	var says io.ReadCloser
	if url == "" {
		says, err = cmd.StdoutPipe()
	} else {
		cmd.Stdout = log
	}
	if err == nil {
		p.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if says != nil {
		line, err := bufio.NewReader(says).ReadString('\n')
		if p.url = strings.TrimSpace(line); err != nil {
			err = fmt.Errorf("%s hasn't printed where it listens: %w", name, err)
			return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait(), p.failure())
		}
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	c.running = append(c.running, p)
	return p, nil
}

// failure returns the end of the process's output.
func (p *process) failure() error {
	said, err := os.ReadFile(p.log.Name())
	return errors.Join(fmt.Errorf("%s: %s", p.name, said[max(0, len(said)-2000):]), err)
}

// end asks the process to exit, and kills it if it doesn't.
func (p *process) end() error {
	defer p.log.Close()
	_ = p.in.Close()                          // that may be enough
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if it has already ended
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("%s had to be killed", p.name), err)
}

// fetch requests the page as soon as the server listens. has is the entity tag of the client's copy, or "".
func (p *process) fetch(ctx context.Context, has string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s doesn't answer", p.name))
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
		if err != nil {
			return nil, nil, err
		}
		if has != "" {
			r.Header.Set("If-None-Match", has)
		}
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			return answer, body, err
		}
		select {
		case <-p.done:
			return nil, nil, p.failure()
		case <-ctx.Done():
			return nil, nil, errors.Join(context.Cause(ctx), err, p.failure())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// cores runs servers and wrk on different cores.
type cores struct{ taskset string }

func findCores() cores {
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		return cores{}
	}
	return cores{taskset}
}

func (c cores) String() string {
	if c.taskset == "" {
		return "servers and wrk share the cores"
	}
	return "servers on one core, wrk on another"
}

func (c cores) server(file string, args ...string) *exec.Cmd { return c.on("1", file, args) }
func (c cores) client(file string, args ...string) *exec.Cmd { return c.on("0", file, args) }

func (c cores) on(core, file string, args []string) *exec.Cmd {
	if c.taskset == "" {
		return exec.Command(file, args...)
	}
	return exec.Command(c.taskset, append([]string{"-c", core, file}, args...)...)
}
