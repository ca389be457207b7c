package inspect

import (
	"fmt"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/remote"
)

// MissReason says why what was read of Redis was a miss. f is nil if the cache has no Redis.
func MissReason[T any](f *remote.Result[T]) string {
	if f == nil {
		return "there is no Redis, and no copy in memory that could be served"
	}
	switch r := f.Record; {
	case f.Held:
		return "the key is held (Cache.Hold): a transaction is being committed"
	case f.Err != nil:
		return "Redis can't be read: " + f.Err.Error()
	case f.Lease != nil:
		return "Redis has the lease of another load"
	case r != nil && r.Expired:
		return "the value in Redis was expired (Expire, ExpireTags or ExpireAll)"
	case r != nil && r.Stale(mono.Now()):
		return fmt.Sprintf("the TTL of the value in Redis was over %v before", rounded(mono.Now().Since(r.FreshUntil)))
	case r != nil:
		return "the value in Redis was fresh, and is refreshed"
	case f.Others != nil:
		return "Redis has only values of other releases"
	case f.Framed():
		return "the value in Redis was invalidated (InvalidateTags or Clear), or can't be decoded"
	case f.Seen.Exists:
		return "the value in Redis can't be decoded"
	}
	return "Redis had nothing under the key"
}
