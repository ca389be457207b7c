package history

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errRecord = errors.New("not a record of a log")

// ReadOps reads what a [Log] wrote. A torn last record is no error: the process was killed. If an operation was
// appended without an end and again with one, ReadOps returns the latter.
func ReadOps(r io.Reader) ([]Op, error) {
	br := bufio.NewReaderSize(r, maxRecord)
	d := decoder{strings: map[string]string{}}
	open := map[int64]int{} // by ID: the index in ops of an operation without an end
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

// next returns the next record's body, which the caller must discard from br, or nil at the end, torn or not.
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

// decoder decodes a record. After the first error all values are zero.
type decoder struct {
	rest    []byte
	wrong   bool
	strings map[string]string // interned keys and tags, of which there are few
}

func (d *decoder) op(body []byte) (Op, error) {
	d.rest = body
	op := Op{ID: d.varint(), Process: int(d.varint()), Kind: Kind(d.byte())}
	flags := d.byte()
	op.OK, op.Strict, op.Tier = flags&flagOK != 0, flags&flagStrict != 0, Tier(flags>>tierShift)
	op.Start, op.End, op.Called, op.Value = d.varint(), d.varint(), d.varint(), d.varint()
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

// length decodes a number of items that take at least a byte each.
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
	var tags []string // not allocated by n, which may be wrong
	for range n {
		tags = append(tags, d.string())
		if d.wrong {
			return nil
		}
	}
	return tags
}
