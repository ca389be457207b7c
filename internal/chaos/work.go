//go:build !windows

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/redis/go-redis/v9"
)

// IsWorker reports whether this process was started as a worker, and so must only call Work.
func IsWorker() bool { return os.Getenv(workerEnv) != "" }

// Work runs the worker until its standard input ends, and returns the exit code.
func Work() int {
	redis.SetLogger(silence{}) // connections break on purpose
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: worker:", err)
		return 1
	}
	return 0
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func work(in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the assignment: %w", err)
	}
	w := &worker{}
	if err := json.Unmarshal(first, &w.assignment); err != nil {
		return fmt.Errorf("reading the assignment: %w", err)
	}
	w.incarnation = w.Incarnation
	w.source = newSourceClient(w.Source)
	defer w.source.close()
	if w.journal, err = createJournal(w.Journal); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.journal.close()) }()
	leave, err := w.openCaches()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fmt.Fprintln(out, "ready")
	var result any
	if w.Callers > 0 {
		var at int64
		if _, err := fmt.Fscanln(lines, &at); err != nil {
			return fmt.Errorf("waiting for the start: %w", err)
		}
		result = w.stampede(ctx, at)
	} else {
		go func() {
			defer cancel()
			_, _ = io.Copy(io.Discard, lines) // until the parent closes it, or dies
		}()
		w.runActors(ctx)
		result = w.stats()
	}
	return json.NewEncoder(out).Encode(result)
}
