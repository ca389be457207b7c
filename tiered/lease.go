package tiered

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
type lease struct {
	token    [leaseToken]byte
	ttl      time.Duration
	extended uint64
}

const (
	leaseMagic   = "\xc1tl"
	leaseVersion = 1
	leaseToken   = 16
	leaseHead    = len(leaseMagic) + 1 + leaseToken // the length of what identifies a lease

	// leaseMax caps what a holder that died costs those who wait for it. A load that takes longer extends its lease.
	leaseMax = 5 * time.Second
	// leaseMore is for how much longer a batch takes each lease for every key beyond a chunk: Redis takes some 10 µs for a
	// lease, and as much when it is extended, and may be ten times as slow where it has more to do.
	leaseMore = 100 * time.Microsecond
	// leaseMost is the most that a batch takes one for.
	leaseMost = 2 * time.Minute
)

// newLease makes the lease of a load that takes as long as loadTimeout at most.
func newLease(loadTimeout time.Duration) lease {
	l := lease{ttl: mono.WholeMillis(min(loadTimeout, leaseMax))}
	binary.BigEndian.PutUint64(l.token[:], rand.Uint64())
	binary.BigEndian.PutUint64(l.token[8:], rand.Uint64())
	return l
}

// ofMany is the lease as a batch of so many keys takes it.
func (l lease) ofMany(keys int) lease {
	l.ttl = max(l.ttl, min(mono.Sum(l.ttl, mono.Times(int64(max(0, keys-maxChunk)), leaseMore)), leaseMost))
	return l
}

func (l lease) bytes() []byte {
	b := make([]byte, 0, leaseHead+2*binary.MaxVarintLen64)
	b = append(b, leaseMagic...)
	b = append(b, leaseVersion)
	b = append(b, l.token[:]...)
	b = binary.AppendUvarint(b, uint64(l.ttl.Milliseconds()))
	return binary.AppendUvarint(b, l.extended)
}

// seen is the lease as a store expects it: however often it was extended.
func (l lease) seen() seen {
	return seen{there: true, bytes: string(l.bytes()[:leaseHead]), head: true}
}

func isLease(b []byte) bool {
	return len(b) >= len(leaseMagic) && string(b[:len(leaseMagic)]) == leaseMagic
}

// parseLease reads a lease; false: it isn't one of this version, and is no reason to wait.
func parseLease(b []byte) (lease, bool) {
	if len(b) < leaseHead || !isLease(b) || b[len(leaseMagic)] != leaseVersion {
		return lease{}, false
	}
	r := frameReader{rest: b[leaseHead:]}
	l := lease{ttl: r.millis(), extended: r.upTo(1 << 63)}
	copy(l.token[:], b[leaseHead-leaseToken:])
	if r.failed || len(r.rest) > 0 {
		return lease{}, false
	}
	l.ttl = min(l.ttl, leaseMost)
	return l, true
}
