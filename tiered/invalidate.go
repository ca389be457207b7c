package tiered

import (
	"context"
)

// The order in which tags and epochs are invalidated, and in which what failed is made up for: in Redis, else in the queue, before
// anything is forgotten here; and off the queue when all that is done. A read that begins after it then finds what was invalidated
// neither here nor, without looking at the queue, in Redis.

// invalidateTags makes all that has one of the tags invalid, or with expire stale, and whatever a load that began before may bring.
func (t *core[T]) invalidateTags(ctx context.Context, names []string, expire bool) (err error) {
	if t.remote == nil {
		t.tags.invalidated(names, expire)
		return nil
	}
	b := t.queue
	mark := b.mark()
	done, failed, err := t.tags.ledger.invalidate(ctx, names, expire)
	if err != nil {
		err = b.queueTags(failed, expire, err)
	}
	t.tags.invalidated(names, expire)
	b.pay(func() { b.payTags(done, mark, expire) })
	return err
}

// invalidateAll makes everything invalid, or with expire stale.
func (t *core[T]) invalidateAll(ctx context.Context, expire bool) (err error) {
	if t.remote == nil {
		t.tags.cleared(expire)
		return nil
	}
	b := t.queue
	mark := b.mark()
	if err = t.tags.ledger.clear(ctx, expire); err != nil {
		err = b.queueClear(expire, err)
	}
	t.tags.epochChanged()
	if err == nil {
		b.pay(func() { b.payClear(mark, expire) })
	}
	return err
}

// replayLedger is replay for tags and Clear. A Set that comes while they wait needs it first: they would take its value away.
func (t *core[T]) replayLedger(ctx context.Context) {
	b := t.queue
	b.ledger.Lock()
	defer b.ledger.Unlock()
	b.mu.Lock()
	number, clears, expires := b.number, b.clear > 0, b.expireAll > 0 // never both
	tags := make(map[bool][]string)                                   // by whether it is an expiry
	for tag, d := range b.tags {
		tags[d.expire] = append(tags[d.expire], tag)
	}
	b.mu.Unlock()
	if clears || expires {
		if err := t.tags.ledger.clear(ctx, expires); err != nil {
			b.pay(func() { b.ledgered = err })
		} else {
			t.tags.epochChanged()
			b.pay(func() { b.payClear(number, expires) })
			b.done.Add(1)
		}
	}
	for expire, names := range tags {
		done, _, err := t.tags.ledger.invalidate(ctx, names, expire)
		if err != nil {
			b.pay(func() { b.ledgered = err })
		}
		if len(done) > 0 {
			t.tags.invalidated(done, expire)
			b.pay(func() { b.payTags(done, number, expire) })
			b.done.Add(uint64(len(done)))
		}
	}
}
