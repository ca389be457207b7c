//go:build !windows

package pgxcache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/aftercommit"
)

// writerEnv is the environment variable with a writer's order.
const writerEnv = "TIERCACHE_TEST_WRITER"

// order is what a writer process is to do: transactions, until it is killed.
type order struct {
	URL, Redis   string
	Adapter, Log string
	Process      int
	Mode         tiered.Invalidation
	Hold         time.Duration
}

// hkeys is how many keys there are, and delta what a local hit may be behind Redis.
const (
	hkeys     = 12
	heartbeat = 60 * time.Millisecond
	timeout   = 300 * time.Millisecond
	delta     = heartbeat + timeout
)

func hkey(i int) string { return fmt.Sprint("k", i) }

// write makes transactions, and logs for each an operation that makes the rows' new version, and one for each invalidation. It logs
// them without an end just before COMMIT, when the rows are locked, and again when the transaction was committed.
func write(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(2) // the test has ended
	}()
	if err := o.write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (o order) write() error {
	file, err := os.Create(o.Log)
	if err != nil {
		return err
	}
	log := history.NewLog(file)
	db, err := adapters[o.Adapter](o.URL + "&application_name=writer")
	if err != nil {
		return err
	}
	c, _, err := openCache(o.Redis, tiered.RedisOptions{Invalidation: o.Mode, Heartbeat: heartbeat, Timeout: timeout})
	if err != nil {
		return err
	}
	for n := int64(1); ; n++ {
		w := transactionOf{order: o, log: log, cache: c, first: int64(o.Process)<<32 | n<<4}
		if err := w.run(db); err != nil {
			return err
		}
	}
}

// transactionOf is one transaction of a writer.
type transactionOf struct {
	order
	log   *history.Log
	cache *tiered.Cache[int64]
	first int64 // its IDs
	ops   []history.Op
}

// run makes the transaction. It changes one or two rows, the first in the order of the keys first.
func (w *transactionOf) run(db adapter) error {
	some := []int{rand.IntN(hkeys)}
	if next := some[0] + 1; rand.IntN(3) == 0 && next < hkeys {
		some = append(some, next)
	}
	fails := rand.IntN(8) == 0
	err := db.inTx(context.Background(), aftercommit.Options{Hold: w.Hold}, func(tx transaction, exec func(string, ...any) error) error {
		for _, i := range some {
			if err := w.change(tx, exec, hkey(i)); err != nil {
				return err
			}
		}
		if fails {
			return io.EOF
		}
		return w.record(0, false)
	})
	switch {
	case err == nil:
		return w.record(history.Clock(), true)
	case errors.Is(err, aftercommit.ErrUnknown), errors.Is(err, aftercommit.ErrCommitted):
		return nil // the operations have no end
	case fails && errors.Is(err, io.EOF):
		return nil
	}
	return w.record(history.Clock(), false)
}

// change updates a row and has it invalidated, by key or by tag.
func (w *transactionOf) change(tx transaction, exec func(string, ...any) error, key string) error {
	id := w.first + int64(len(w.ops))
	if err := exec("UPDATE items SET version = $1 WHERE key = $2", id, key); err != nil {
		return err
	}
	made := history.Op{ID: id, Process: w.Process, Kind: history.Load, Key: key, Tags: []string{tagOf(key)}}
	ended := history.Op{ID: id + 1, Process: w.Process, Kind: history.Delete, Key: key}
	if id%3 == 0 || rand.IntN(2) == 0 {
		tx.InvalidateTags(w.cache, tagOf(key))
		ended.Kind, ended.Key, ended.Tags = history.InvalidateTags, "", made.Tags
	} else {
		tx.Delete(w.cache, key)
	}
	w.ops = append(w.ops, made, ended)
	return nil
}

// record logs the transaction's operations. Without an end they begin now.
func (w *transactionOf) record(end int64, ok bool) error {
	at := history.Clock()
	for i := range w.ops {
		if end == 0 {
			w.ops[i].Start = at
		}
		w.ops[i].End, w.ops[i].OK = end, ok
		w.log.Append(w.ops[i])
	}
	return w.log.Flush()
}

// process is a writer process.
type process struct {
	cmd *exec.Cmd
	log string
}

// startWriter starts a writer, which is killed with this process.
func startWriter(o order) (*process, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{exec.Command(program), o.Log}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), writerEnv+"="+string(text)), os.Stderr
	if _, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

// awaitFirst waits until the writer has logged an operation, or ctx ends.
func (p *process) awaitFirst(ctx context.Context) {
	for ctx.Err() == nil {
		if info, err := os.Stat(p.log); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond) // the log is another process's
	}
}

// kill kills the writer, and returns the operations that it logged.
func (p *process) kill() ([]history.Op, error) {
	if err := p.cmd.Process.Kill(); err != nil {
		return nil, fmt.Errorf("a writer has ended by itself: %w, %w", err, p.cmd.Wait())
	}
	_ = p.cmd.Wait() // it was killed
	f, err := os.Open(p.log)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it was killed before it began
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return history.ReadOps(f)
}
