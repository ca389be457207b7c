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
	"runtime"
	"syscall"
	"time"

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
	cmd     *exec.Cmd
	input   io.WriteCloser
	output  *os.File
	lines   *bufio.Reader
	journal string        // a file
	log     string        // a file with its standard error
	done    chan struct{} // closed when it has ended
	err     error         // the result of Wait, once done is closed
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
	p := &process{
		cmd: exec.Command(program), output: output, lines: bufio.NewReader(output),
		journal: a.Journal, log: log.Name(), done: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), workerEnv+"=1")
	p.cmd.Stdout, p.cmd.Stderr = theirs, log
	p.cmd.SysProcAttr = dieWithParent()
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, output.Close())
	}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
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

// run starts the process and waits for its end on one thread: with Pdeathsig, Linux kills the process when the thread that
// forked it ends.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.done)
	}
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
	return fmt.Errorf("chaos: a worker: %w (%w); its log ends:\n%s", err, p.err, p.logTail())
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
	_ = p.cmd.Process.Kill() // fails if the process has already ended
	<-p.done
	_ = p.output.Close()
}

// freeze stops the process and returns when it has stopped: the signal takes effect later.
func freeze(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); !stopped(p.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("the process doesn't stop")
		}
	}
	return nil
}

func (p *process) freeze() error { return freeze(p.cmd.Process) }

func (p *process) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

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
	case <-p.done:
	case <-time.After(patience):
		return p.fail(errors.New("it doesn't exit"))
	}
	if p.err != nil {
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
