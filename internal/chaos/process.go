//go:build !windows

package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/internal/child"
	"github.com/tiercache/tiercache/tiered"
)

// workerEnv is set in the environment of workers.
const workerEnv = "TIERCACHE_CHAOS_WORKER"

// assignment configures a worker. It is the first line of its standard input.
type assignment struct {
	Incarnation int
	Slot        int
	Release     int
	Options     Options
	Plan        plan
	Source      string // its address
	Journal     string // the file
	Callers     int    // if not 0, the workload is a stampede of so many callers
}

// process is a worker as the parent sees it.
type process struct {
	*child.Process
	input   io.WriteCloser
	output  *os.File
	lines   *bufio.Reader
	journal string // a file
	log     string // a file with its standard error
}

const patience = 30 * time.Second // for a process to start, or to end when asked to

// startProcess starts a worker and returns when it has made its caches.
func startProcess(a assignment, dir string) (*process, error) {
	name := fmt.Sprintf("%s/worker-%d", dir, a.Incarnation)
	a.Journal = name + ".journal"
	order, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(name + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy
	output, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p := &process{output: output, lines: bufio.NewReader(output), journal: a.Journal, log: log.Name()}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	cmd.Stdout, cmd.Stderr = theirs, log
	if p.input, err = cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	if p.Process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	if _, err := p.input.Write(append(order, '\n')); err != nil {
		return nil, p.fail(err)
	}
	if line, err := p.answer(); err != nil || line != "ready\n" {
		return nil, p.fail(fmt.Errorf("it wrote %q, want \"ready\": %w", line, err))
	}
	return p, nil
}

// answer reads a line from the worker.
func (p *process) answer() (string, error) {
	if err := p.output.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	return p.lines.ReadString('\n')
}

// fail kills a worker that misbehaved, and adds the end of its log to the error.
func (p *process) fail(err error) error {
	p.kill()
	return fmt.Errorf("chaos: a worker: %w (%w); its log ends:\n%s", err, p.Err, p.logTail())
}

func (p *process) logTail() []byte {
	const most = 4 << 10
	log, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-most):]
}

func (p *process) kill() {
	p.Kill()
	_ = p.output.Close()
}

// finish shuts the worker down and decodes its result.
func (p *process) finish(result any) error {
	if err := p.input.Close(); err != nil {
		return p.fail(err)
	}
	line, err := p.answer()
	if err != nil {
		return p.fail(fmt.Errorf("waiting for its result: %w", err))
	}
	if err := json.Unmarshal([]byte(line), result); err != nil {
		return p.fail(fmt.Errorf("its result %q: %w", line, err))
	}
	select {
	case <-p.Done:
	case <-time.After(patience):
		return p.fail(errors.New("it doesn't exit"))
	}
	if p.Err != nil {
		return p.fail(errors.New("it failed"))
	}
	return p.output.Close()
}

// tally is a worker's result: the sum of its caches' counters.
type tally struct {
	tiered.Stats
}

func (t *tally) add(s tiered.Stats) {
	t.LocalHits += s.LocalHits
	t.RemoteHits += s.RemoteHits
	t.Misses += s.Misses
	t.Collapsed += s.Collapsed
	t.Shed += s.Shed
	t.Loads += s.Loads
	t.LoadErrors += s.LoadErrors
	t.RedisErrors += s.RedisErrors
	t.CodecErrors += s.CodecErrors
	t.Evicted += s.Evicted
	t.Rejected += s.Rejected
}
