package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A lease is what a key holds in Redis while a process loads its value: others wait for what becomes of it instead of
// loading too. Since it is the key's own value, whoever writes or deletes the key voids it, and a load stores its result
// only in place of its own lease: a value whose load began before that write can't come back (as in "Scaling Memcache at
// Facebook", NSDI 2013, section 3.2.1).
//
//	offset  bytes
//	0       3      the magic C1 74 6C
//	3       1      the version, 1
//	4       16     a token, which no other load has: one of this process's own earlier loads neither
//	20      uvarint   for how long the lease was taken, in milliseconds; Redis's expiry of the key is set to it
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
	LeaseHead    = len(leaseMagic) + 1 + tokenLen // the length of what identifies a lease

	// MaxLease caps what a holder that died costs those who wait for it. A load that takes longer extends its lease.
	MaxLease = 5 * time.Second
	// leasePerKey is for how much longer a batch takes each lease for every key beyond a chunk: Redis takes some 10 µs for a
	// lease, and as much when it is extended, and may be ten times as slow where it has more to do.
	leasePerKey = 100 * time.Microsecond
	// maxBatchLease is the most that a batch takes one for.
	maxBatchLease = 2 * time.Minute
)

// NewLease makes the lease of a load that takes as long as loadTimeout at most.
func NewLease(loadTimeout time.Duration) Lease {
	l := Lease{TTL: mono.WholeMillis(min(loadTimeout, MaxLease))}
	binary.BigEndian.PutUint64(l.Token[:], rand.Uint64())
	binary.BigEndian.PutUint64(l.Token[8:], rand.Uint64())
	return l
}

// ForMany is the lease as a batch takes it that has so many keys beyond a chunk.
func (l Lease) ForMany(keys int) Lease {
	l.TTL = max(l.TTL, min(mono.Sum(l.TTL, mono.Times(int64(max(0, keys)), leasePerKey)), maxBatchLease))
	return l
}

func (l Lease) Bytes() []byte {
	b := make([]byte, 0, LeaseHead+2*binary.MaxVarintLen64)
	b = append(b, leaseMagic...)
	b = append(b, leaseVersion)
	b = append(b, l.Token[:]...)
	b = binary.AppendUvarint(b, uint64(l.TTL.Milliseconds()))
	return binary.AppendUvarint(b, l.Extended)
}

func IsLease(b []byte) bool {
	return len(b) >= len(leaseMagic) && string(b[:len(leaseMagic)]) == leaseMagic
}

// ParseLease reads a lease; false: it isn't one of this version, and is no reason to wait.
func ParseLease(b []byte) (Lease, bool) {
	if len(b) < LeaseHead || !IsLease(b) || b[len(leaseMagic)] != leaseVersion {
		return Lease{}, false
	}
	r := frameReader{rest: b[LeaseHead:]}
	l := Lease{TTL: r.millis(), Extended: r.upTo(1 << 63)}
	copy(l.Token[:], b[LeaseHead-tokenLen:])
	if r.failed || len(r.rest) > 0 {
		return Lease{}, false
	}
	l.TTL = min(l.TTL, maxBatchLease)
	return l, true
}

// RenewEvery is how often the holder of the lease looks after it: at a value that the lease is beside no less often than if it were of
// one key, and extends it only when a third of its time is over.
func (l Lease) RenewEvery() time.Duration { return min(l.TTL, MaxLease) / 3 }
