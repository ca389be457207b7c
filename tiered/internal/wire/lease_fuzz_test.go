package wire_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// What is read as a lease identifies the same lease when it is written again.
func FuzzLease(f *testing.F) {
	l := wire.NewLease(time.Minute)
	f.Add(l.Bytes())
	l.Extended = 300
	f.Add(l.Bytes())
	f.Add(l.Bytes()[:wire.LeaseHead])
	f.Fuzz(func(t *testing.T, b []byte) {
		l, ok := wire.ParseLease(b)
		if !ok {
			return
		}
		again := l.Bytes()
		if !bytes.Equal(again[:wire.LeaseHead], b[:wire.LeaseHead]) {
			t.Errorf("%x became %x", b, again)
		}
		if got, ok := wire.ParseLease(again); !ok || got != l {
			t.Errorf("%+v became %+v, %v", l, got, ok)
		}
	})
}
