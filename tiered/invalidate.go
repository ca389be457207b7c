package tiered

import "context"

// Tags and epochs are invalidated, and failed invalidations replayed, in this order: in Redis, or in the queue if Redis fails;
// then in this process's memory; and last they are taken off the queue. So a read that begins afterwards doesn't find an
// invalidated value in memory, and doesn't rely on Redis while an invalidation is queued.

// invalidateTags makes all values that have one of the tags invalid, or with expire stale. This includes the results of loads
// under way.
func (t *core[T]) invalidateTags(ctx context.Context, names []string, expire bool) (err error) {
	if t.remote == nil {
		t.tags.Invalidated(names, expire)
		return nil
	}
	b := t.queue
	mark := b.mark()
	done, failed, err := t.tags.Store.Invalidate(ctx, names, expire)
	if err != nil {
		err = b.queueTags(failed, expire, err)
	}
	t.tags.Invalidated(names, expire)
	b.remove(func() { b.removeTags(done, mark, expire) })
	return err
}

// invalidateAll makes all values invalid, or with expire stale.
func (t *core[T]) invalidateAll(ctx context.Context, expire bool) (err error) {
	if t.remote == nil {
		t.tags.Cleared(expire)
		return nil
	}
	b := t.queue
	mark := b.mark()
	if err = t.tags.Store.Clear(ctx, expire); err != nil {
		err = b.queueClear(expire, err)
	}
	t.tags.EpochChanged()
	if err == nil {
		b.remove(func() { b.removeClear(mark, expire) })
	}
	return err
}

// replayTags replays queued tags, Clear and ExpireAll. A Set calls it first, because a later replay would remove its value.
func (t *core[T]) replayTags(ctx context.Context) {
	b := t.queue
	b.replayingTags.Lock()
	defer b.replayingTags.Unlock()
	b.mu.Lock()
	number, clears, expires := b.number, b.clear > 0, b.expireAll > 0 // never both
	tags := make(map[bool][]string)                                   // by expire
	for tag, d := range b.tags {
		tags[d.expire] = append(tags[d.expire], tag)
	}
	b.mu.Unlock()
	if clears || expires {
		if err := t.tags.Store.Clear(ctx, expires); err != nil {
			b.remove(func() { b.tagsErr = err })
		} else {
			t.tags.EpochChanged()
			b.remove(func() { b.removeClear(number, expires) })
			b.done.Add(1)
		}
	}
	for expire, names := range tags {
		done, _, err := t.tags.Store.Invalidate(ctx, names, expire)
		if err != nil {
			b.remove(func() { b.tagsErr = err })
		}
		if len(done) > 0 {
			t.tags.Invalidated(done, expire)
			b.remove(func() { b.removeTags(done, number, expire) })
			b.done.Add(uint64(len(done)))
		}
	}
}
