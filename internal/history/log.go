package history

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// A Log writes operations as they happen. It passes only whole records to its writer, so that a process that is killed
// loses at most the records since the last Flush. Its methods may be called from any goroutine.
//
// Other processes may see a Load's value before the Load has ended. To have it in the log even if the process is killed, append
// it without an end and flush when it starts, and append it again when it has ended.
//
// A record is a uvarint n and n bytes:
//
//	varint             ID
//	varint             Process
//	1 byte             Kind
//	1 byte             flags: 1 = OK, 2 = Strict, the two bits above: Tier
//	varint             Start
//	varint             End
//	varint             Called
//	varint             Value
//	uvarint n, bytes   Key
//	uvarint n, n tags  each like Key
//
// Varints are those of encoding/binary. [ReadOps] reads them.
type Log struct {
	mu      sync.Mutex
	w       io.Writer
	err     error  // the first error
	records []byte // not yet written to w
	body    []byte // buffer for a record
}

const (
	logBuffer = 64 << 10
	maxRecord = 1 << 20
)

const (
	flagOK     = 1
	flagStrict = 2
	tierShift  = 2
)

// NewLog returns a Log that writes to w, which should be empty: nothing can be read after a torn record.
func NewLog(w io.Writer) *Log {
	return &Log{w: w, records: make([]byte, 0, logBuffer)}
}

// Append adds an operation. An error is kept for Flush.
func (l *Log) Append(op Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.body = appendOp(l.body[:0], &op)
	if len(l.body) > maxRecord {
		l.fail(fmt.Errorf("history: an operation of %d bytes is over the limit of %d", len(l.body), maxRecord))
		return
	}
	if len(l.records)+binary.MaxVarintLen64+len(l.body) > logBuffer {
		l.write()
	}
	l.records = binary.AppendUvarint(l.records, uint64(len(l.body)))
	l.records = append(l.records, l.body...)
}

// Flush writes everything to the writer. It returns the first error of any write; nothing is written after that.
func (l *Log) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write()
	return l.err
}

func (l *Log) write() {
	if l.err == nil && len(l.records) > 0 {
		if _, err := l.w.Write(l.records); err != nil {
			l.fail(fmt.Errorf("history: writing the log: %w", err))
		}
	}
	l.records = l.records[:0]
}

func (l *Log) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

func appendOp(b []byte, op *Op) []byte {
	flags := byte(op.Tier) << tierShift
	if op.OK {
		flags |= flagOK
	}
	if op.Strict {
		flags |= flagStrict
	}
	b = binary.AppendVarint(b, op.ID)
	b = binary.AppendVarint(b, int64(op.Process))
	b = append(b, byte(op.Kind), flags)
	b = binary.AppendVarint(b, op.Start)
	b = binary.AppendVarint(b, op.End)
	b = binary.AppendVarint(b, op.Called)
	b = binary.AppendVarint(b, op.Value)
	b = appendString(b, op.Key)
	b = binary.AppendUvarint(b, uint64(len(op.Tags)))
	for _, tag := range op.Tags {
		b = appendString(b, tag)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
