package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// Lease is what a key holds in Redis while a process loads its value. Other processes wait for what replaces it instead of
// loading too. It is the key's own value, so any write or delete of the key voids it, and a load stores its result only in
// place of its own lease: a value whose load began before that write can't come back ("Scaling Memcache at Facebook", NSDI
// 2013, section 3.2.1).
//
//	offset  bytes
//	0       3         the magic C1 74 6C
//	3       1         the version, 1
//	4       16        a token that no other load has, of any process
//	20      uvarint   for how long the lease was taken, in milliseconds; the expiry of the key is set to it
//	        uvarint   how often it was extended
type Lease struct {
	Token    [tokenLen]byte
	TTL      time.Duration
	Extended uint64
}

const (
	leaseMagic   = "\xc1tl"
	leaseVersion = 1
	tokenLen     = 16

	// LeaseHead is the length of the part that identifies a lease, however often it was extended.
	LeaseHead = len(leaseMagic) + 1 + tokenLen
	// MaxLease bounds what a holder that died costs those who wait. A load that takes longer extends its lease.
	MaxLease = 5 * time.Second
	// leasePerKey is how much longer a batch takes its leases, for each key beyond a chunk. Redis takes about 10 µs to take a
	// lease, and as much to extend it, and may be ten times as slow under load.
	leasePerKey = 100 * time.Microsecond
	// maxBatchLease is the longest lease of a batch.
	maxBatchLease = 2 * time.Minute
)

// NewLease returns the lease of a load that takes at most loadTimeout.
func NewLease(loadTimeout time.Duration) Lease {
	l := Lease{TTL: mono.WholeMillis(min(loadTimeout, MaxLease))}
	binary.BigEndian.PutUint64(l.Token[:], rand.Uint64())
	binary.BigEndian.PutUint64(l.Token[8:], rand.Uint64())
	return l
}

// ForBatch returns the lease of a batch that has so many keys more than a chunk.
func (l Lease) ForBatch(keys int) Lease {
	l.TTL = max(l.TTL, min(mono.Sum(l.TTL, mono.Times(int64(max(0, keys)), leasePerKey)), maxBatchLease))
	return l
}

// Head returns what the lease begins with, however often it was extended.
func (l Lease) Head() string { return leaseMagic + string(rune(leaseVersion)) + string(l.Token[:]) }

// Bytes returns the lease as Redis keeps it.
func (l Lease) Bytes() []byte {
	b := make([]byte, 0, LeaseHead+2*binary.MaxVarintLen64)
	b = append(b, l.Head()...)
	b = binary.AppendUvarint(b, uint64(l.TTL.Milliseconds()))
	return binary.AppendUvarint(b, l.Extended)
}

// IsLease reports whether b is meant to be a lease, whole or not.
func IsLease(b []byte) bool {
	return len(b) >= len(leaseMagic) && string(b[:len(leaseMagic)]) == leaseMagic
}

// ParseLease reads a lease. It returns false for anything else, a lease of another version included: that is no reason to
// wait.
func ParseLease(b []byte) (Lease, bool) {
	if len(b) < LeaseHead || !IsLease(b) || b[len(leaseMagic)] != leaseVersion {
		return Lease{}, false
	}
	r := reader{rest: b[LeaseHead:]}
	l := Lease{TTL: r.millis(), Extended: r.upTo(1 << 63)}
	copy(l.Token[:], b[LeaseHead-tokenLen:])
	if r.failed || len(r.rest) > 0 {
		return Lease{}, false
	}
	l.TTL = min(l.TTL, maxBatchLease)
	return l, true
}

// CheckEvery returns how often the holder of the lease looks whether to extend it.
func (l Lease) CheckEvery() time.Duration { return min(l.TTL, MaxLease) / 3 }
