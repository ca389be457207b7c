package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errRecord = errors.New("not a record of a log")

// ReadOps reads what a [Log] wrote. That the last record is torn is no error: its process was killed. Of an operation
// that was appended without an end and again with one it returns the latter.
func ReadOps(r io.Reader) ([]Op, error) {
	br := bufio.NewReaderSize(r, maxRecord)
	d := decoder{strings: map[string]string{}}
	open := map[int64]int{} // by ID: where among ops one is that has no end
	var ops []Op
	for {
		body, err := next(br)
		if err != nil || body == nil {
			return ops, err
		}
		op, err := d.op(body)
		if err != nil {
			return ops, fmt.Errorf("history: record %d: %w", len(ops)+1, err)
		}
		if _, err := br.Discard(len(body)); err != nil {
			return ops, err
		}
		begun, again := open[op.ID]
		switch {
		case again:
			ops[begun] = op
			if op.End != 0 {
				delete(open, op.ID)
			}
		default:
			if op.End == 0 {
				open[op.ID] = len(ops)
			}
			ops = append(ops, op)
		}
	}
}

// next returns the next record's body, to be discarded from br, and nil at the end, torn or not.
func next(br *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(br)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("history: reading a log: %w", err)
	case n == 0 || n > maxRecord:
		return nil, fmt.Errorf("history: a record of %d bytes: %w", n, errRecord)
	}
	body, err := br.Peek(int(n))
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history: reading a log: %w", err)
	}
	return body, nil
}

// decoder takes a record apart. The first thing that is wrong makes all that follow zero.
type decoder struct {
	rest    []byte
	wrong   bool
	strings map[string]string // one copy of each, for keys and tags are few
}

func (d *decoder) op(body []byte) (Op, error) {
	d.rest = body
	op := Op{ID: d.varint(), Process: int(d.varint()), Kind: Kind(d.byte())}
	flags := d.byte()
	op.OK, op.Strict, op.Tier = flags&flagOK != 0, flags&flagStrict != 0, Tier(flags>>tierShift)
	op.Start, op.End, op.Value = d.varint(), d.varint(), d.varint()
	op.Key = d.string()
	op.Tags = d.tags()
	if d.wrong || len(d.rest) > 0 || op.Kind < Read || op.Kind > Clear || op.Tier > Remote {
		return Op{}, errRecord
	}
	return op, nil
}

func (d *decoder) fail() {
	d.wrong, d.rest = true, nil
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// length is that of what takes a byte at least for each that it counts.
func (d *decoder) length() int {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > uint64(len(d.rest)-n) {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return int(v)
}

func (d *decoder) string() string {
	n := d.length()
	b := d.rest[:n]
	d.rest = d.rest[n:]
	s, ok := d.strings[string(b)]
	if !ok {
		s = string(b)
		d.strings[s] = s
	}
	return s
}

func (d *decoder) tags() []string {
	n := d.length()
	if n == 0 {
		return nil
	}
	var tags []string // grows with what is there, not with what is claimed
	for range n {
		tags = append(tags, d.string())
		if d.wrong {
			return nil
		}
	}
	return tags
}
