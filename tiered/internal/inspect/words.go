package inspect

import (
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
)

// staleness says why a copy is stale.
func staleness(y *inspection.Copy) string {
	if y.Expired {
		return fmt.Sprintf("it was expired before its time (Expire, ExpireTags or ExpireAll); it is %v old", rounded(y.Age))
	}
	return fmt.Sprintf("its TTL was over %v ago: it is %v old, and was fresh for %v", rounded(-y.FreshFor), rounded(y.Age), rounded(y.Age+y.FreshFor))
}

// rounded returns a duration with as many digits as people read.
func rounded(d time.Duration) time.Duration {
	switch abs := d.Abs(); {
	case abs >= 10*time.Second:
		return d.Round(time.Second)
	case abs >= time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
