package inspect

import (
	"context"
	"fmt"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// inspectLocal reports the local copy, and how it may be served.
func (x *inspector[T]) inspectLocal(ctx context.Context, it *local.Item[T]) {
	valid, inTime := it.Valid(x.at), x.Local.InTime(it, x.at, &x.Policy.Windows)
	x.served = valid && inTime
	after := x.Local.AfterExpiry(it)
	if after.Intact() {
		x.local = after.Use(&x.Policy.Windows, x.at)
	}
	y := &inspection.Local{Copy: x.copyOf(&after.Record), LeavesIn: it.LocalUntil().Since(x.at), Cost: max(1, it.Cost)}
	y.Usable = x.local > record.Unusable
	switch {
	case !valid:
		y.Problem = x.invalidity(ctx, it)
	case it.Stale(x.at):
		y.Problem = staleness(&y.Copy)
	case !inTime:
		y.Problem = "its LocalTTL is over, so Redis is read first"
	}
	x.key.Local = y
}

// invalidity says why an item isn't served whose dependencies don't hold.
func (x *inspector[T]) invalidity(ctx context.Context, it *local.Item[T]) string {
	switch {
	case it.Intact() && it.Validity.Ended():
		return "the connection for invalidations was lost after this copy was read, so a change may have been missed: Redis is read first"
	case it.Intact():
		return "it isn't certain that all invalidations arrive at present: Redis is read first"
	}
	if status, why, err := x.invalidated(ctx, &it.Stamp); err == nil && status != coherence.Valid {
		return why
	}
	for i, t := range it.Tags {
		if t.Dead.Load() && i < len(it.Record.Tags) {
			return fmt.Sprintf("the record of its tag %q has changed since it was read, so Redis is read first", it.Record.Tags[i])
		}
	}
	return "the whole cache was cleared or expired (Clear, ExpireAll) after the value's load began"
}
