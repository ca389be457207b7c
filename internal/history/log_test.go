package history_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/tiercache/tiercache/internal/history"
)

// written returns the log of ops.
func written(t testing.TB, ops ...history.Op) []byte {
	t.Helper()
	var b bytes.Buffer
	l := history.NewLog(&b)
	for _, op := range ops {
		l.Append(op)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sampleOps() []history.Op {
	return []history.Op{
		{ID: 1, Process: 3, Kind: history.Load, Key: "user:1", Tags: []string{"a", "", "ü"}, Start: 1, End: 2, Called: -7, OK: true},
		{ID: 2, Process: -1, Kind: history.Clear, Start: math.MaxInt64 - 1, End: math.MaxInt64},
		{ID: math.MinInt64, Kind: history.Read, Key: "user:1", Start: 5, End: 6, OK: true, Value: math.MinInt64, Tier: history.Remote, Strict: true},
		{ID: 4, Kind: history.Set, Key: "", Start: 7},
		{ID: 5, Kind: history.Read, Key: "user:1", Start: 8, End: 9, Strict: true, Tier: history.Local},
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	ops := sampleOps()
	for _, r := range []io.Reader{bytes.NewReader(written(t, ops...)), iotest.OneByteReader(bytes.NewReader(written(t, ops...)))} {
		got, err := history.ReadOps(r)
		if err != nil || !reflect.DeepEqual(got, ops) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// All whole records are read from a log that is cut off anywhere.
func TestTornLog(t *testing.T) {
	t.Parallel()
	ops := sampleOps()
	ends := map[int]int{} // by length of the log, how many operations it has
	for i := range ops {
		ends[len(written(t, ops[:i+1]...))] = i + 1
	}
	whole, n := written(t, ops...), 0
	for size := range len(whole) + 1 {
		n = max(n, ends[size])
		got, err := history.ReadOps(bytes.NewReader(whole[:size]))
		if err != nil || len(got) != n || n > 0 && !reflect.DeepEqual(got, ops[:n]) {
			t.Errorf("%d bytes: %d operations, want %d, %v", size, len(got), n, err)
		}
	}
}

func TestLogOfBegunAndEnded(t *testing.T) {
	t.Parallel()
	begun := history.Op{ID: 1, Kind: history.Load, Key: "k", Start: 1}
	ended := begun
	ended.End, ended.OK = 9, true
	other := history.Op{ID: 2, Kind: history.Load, Key: "k", Start: 2}
	got, err := history.ReadOps(bytes.NewReader(written(t, begun, other, begun, ended)))
	if err != nil || !reflect.DeepEqual(got, []history.Op{ended, other}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBadLog(t *testing.T) {
	t.Parallel()
	good := written(t, sampleOps()[:1]...)
	for name, b := range map[string][]byte{
		"empty record": {0, 0},
		"huge record":  {0xff, 0xff, 0xff, 0xff, 0x7f, 1},
		"no length":    bytes.Repeat([]byte{0xff}, 11),
		"short body":   {1, 0},
		"no kind":      {10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"wrong kind":   {10, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0},
		"wrong tier":   {10, 0, 0, 1, 12, 0, 0, 0, 0, 0, 0},
		"rest":         {11, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		"long key":     {10, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0},
		"many tags":    {10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1},
	} {
		ops, err := history.ReadOps(bytes.NewReader(append(good[:len(good):len(good)], b...)))
		if err == nil || len(ops) != 1 {
			t.Errorf("%s: %d operations, %v", name, len(ops), err)
		}
	}
	if _, err := history.ReadOps(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestLogErrors(t *testing.T) {
	t.Parallel()
	_, w := io.Pipe()
	if err := w.CloseWithError(io.ErrNoProgress); err != nil {
		t.Fatal(err)
	}
	l := history.NewLog(w)
	l.Append(history.Op{Kind: history.Read})
	for range 2 {
		if err := l.Flush(); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	}
	l = history.NewLog(io.Discard)
	l.Append(history.Op{Kind: history.Read, Key: strings.Repeat("k", 1<<20)})
	if l.Flush() == nil {
		t.Error("a record was written that can't be read")
	}
}

// chunks keeps the argument of each Write.
type chunks [][]byte

func (c *chunks) Write(b []byte) (int, error) {
	*c = append(*c, bytes.Clone(b))
	return len(b), nil
}

// With many concurrent writers each Write has whole records.
func TestLogConcurrently(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 5000
	var c chunks
	l := history.NewLog(&c)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				l.Append(history.Op{ID: int64(w*each + i + 1), Process: w, Kind: history.Delete, Key: "k", Start: 1, End: 2})
			}
		})
	}
	wg.Wait()
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for _, b := range c {
		ops, err := history.ReadOps(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range ops {
			seen[op.ID] = true
		}
		if again := written(t, ops...); !bytes.Equal(again, b) {
			t.Fatal("a write ends within a record")
		}
	}
	if len(seen) != writers*each || len(c) < 2 {
		t.Errorf("%d operations in %d writes", len(seen), len(c))
	}
}

func BenchmarkLog(b *testing.B) {
	op := history.Op{Process: 3, Kind: history.Read, Key: "user:1234", OK: true, Value: 123_456, Tier: history.Local}
	op.Start = history.Clock()
	b.ReportAllocs()
	l := history.NewLog(io.Discard)
	for b.Loop() {
		op.ID++
		op.Start += 1000
		op.End = op.Start + 500
		l.Append(op)
	}
}

func BenchmarkReadOps(b *testing.B) {
	ops := runModel(noBug, 1, 200_000).Ops
	log := written(b, ops...)
	b.ReportAllocs()
	for b.Loop() {
		if got, err := history.ReadOps(bytes.NewReader(log)); err != nil || len(got) != len(ops) {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(ops))/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(len(log))/float64(len(ops)), "B/op-record")
}

func FuzzReadOps(f *testing.F) {
	f.Add(written(f, sampleOps()...))
	f.Add([]byte{9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := history.ReadOps(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := history.ReadOps(bytes.NewReader(written(t, ops...)))
		if err != nil || !reflect.DeepEqual(ops, again) {
			t.Errorf("%+v became %+v, %v", ops, again, err)
		}
		history.Check(&history.Record{Ops: ops}) // it must not panic
	})
}
