package wire

import (
	"testing"
	"time"
)

func TestLeaseBytes(t *testing.T) {
	l := NewLease(time.Minute)
	l.Extended = 300
	got, ok := ParseLease(l.Bytes())
	if !ok || got != l || l.TTL != MaxLease {
		t.Errorf("%+v became %+v, %v", l, got, ok)
	}
	if other := NewLease(time.Second); other.Token == l.Token || other.TTL != time.Second {
		t.Errorf("%+v", other)
	}
	for n := range l.Bytes() {
		if _, ok := ParseLease(l.Bytes()[:n]); ok {
			t.Errorf("%d bytes are a lease", n)
		}
	}
	if _, ok := ParseLease(append(l.Bytes(), 0)); ok {
		t.Error("a byte too many is a lease")
	}
}
