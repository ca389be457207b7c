//go:build !windows

package chaos

import (
	"fmt"
	"os"

	"github.com/tiercache/tiercache/internal/history"
)

// journal is the log of one worker's operations.
type journal struct {
	file *os.File
	log  *history.Log
}

func createJournal(path string) (*journal, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("chaos: the journal: %w", err)
	}
	return &journal{f, history.NewLog(f)}, nil
}

// begin writes the operations of one call down before they make their values, so that a value is known even if the worker is killed.
func (j *journal) begin(ops ...*history.Op) {
	start := history.Clock()
	for _, op := range ops {
		op.Start = start
		j.log.Append(*op)
	}
	_ = j.log.Flush() // the log keeps its error for close
}

// begun writes an operation down at once.
func (j *journal) begun(op *history.Op) {
	j.log.Append(*op)
	_ = j.log.Flush()
}

// end writes the operations down with their ends.
func (j *journal) end(ok bool, ops ...*history.Op) {
	end := history.Clock()
	for _, op := range ops {
		op.OK, op.End = ok, end
		j.log.Append(*op)
	}
}

func (j *journal) close() error {
	if err := j.log.Flush(); err != nil {
		return err
	}
	return j.file.Close()
}
