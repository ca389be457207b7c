package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tiercache/tiercache/cmd/tiercache/internal/connect"
)

// examineMemory reports what the server does when its memory is full.
func (e *examination) examineMemory(ctx context.Context, s *server) {
	info := connect.Info(ctx, s.Client)
	policy := info["maxmemory_policy"]
	limit, _ := strconv.ParseInt(info["maxmemory"], 10, 64)
	used, _ := strconv.ParseInt(info["used_memory"], 10, 64)
	const fix = "set maxmemory-policy to volatile-lfu or volatile-lru: all values of caches have a TTL"
	switch {
	case policy == "":
		e.found(s, memory, Skipped, "INFO is refused, or doesn't say: it takes +info", "")
	case limit == 0:
		e.found(s, memory, OK, "no maxmemory: values leave when their TTL is over", "")
	case policy == "noeviction" && used >= limit:
		e.found(s, memory, Failure, fmt.Sprintf("full (maxmemory %s, noeviction): Redis refuses writes", size(limit)), fix)
	case policy == "noeviction":
		e.found(s, memory, Warning, fmt.Sprintf("noeviction: with %s used Redis refuses writes", size(limit)), fix)
	case strings.HasSuffix(policy, "-random"):
		e.found(s, memory, Warning, fmt.Sprintf("%s of %s: it evicts values that are read often", policy, size(limit)), fix)
	case strings.HasPrefix(policy, "allkeys-"):
		e.found(s, memory, OK, fmt.Sprintf("%s of %s: it may also evict a cache's epoch, which empties the cache; volatile-lfu doesn't",
			policy, size(limit)), "")
	default:
		e.found(s, memory, OK, fmt.Sprintf("%s of %s", policy, size(limit)), "")
	}
}

// size formats a number of bytes.
func size(n int64) string {
	const unit = 1 << 10
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit<<10:
		return fmt.Sprintf("%.3g KiB", float64(n)/unit)
	case n < unit<<20:
		return fmt.Sprintf("%.3g MiB", float64(n)/(unit<<10))
	}
	return fmt.Sprintf("%.3g GiB", float64(n)/(unit<<20))
}
