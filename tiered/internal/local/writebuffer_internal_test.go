package local

import (
	"math"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// A caller that waits for room in the write buffer has it emptied, even if no Flush has followed the Sets that filled it.
func TestWriteBufferMakesRoom(t *testing.T) {
	l, err := New[int](Options{MaxCost: 1 << 20, Retention: new(record.Retention), Hash: func(string) uint64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const hash = bufferShards // of one shard, as are its multiples
	for n := range uint64(bufferShardMax) {
		l.SetBuffered(hash*n, l.NewItem("k", hash*n, &record.Record[int]{Meta: new(record.Meta)}, coherence.Deps{Validity: coherence.Always}, math.MaxInt64), mono.Now())
	}
	if n := l.buffer.count.Load(); n != bufferShardMax {
		t.Fatalf("%d items", n)
	}
	roomy := make(chan struct{})
	go func() {
		defer close(roomy)
		l.buffer.waitForRoom(hash)
	}()
	select {
	case <-roomy:
	case <-time.After(20 * time.Second):
		t.Error("there is no room")
	}
}
