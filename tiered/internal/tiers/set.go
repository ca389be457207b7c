package tiers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/tags"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// SetMany sets the keys, which must differ, to their values. It encodes a chunk while the chunks before it are on their way to
// Redis. The tags must come from wire.TagSet.
func (t *Tiers[T, S]) SetMany(ctx context.Context, keys []string, value func(key string) T, tags []string, p *record.Policy) Written {
	waiting := t.Queue.HidesAll()
	if waiting {
		t.Queue.ReplayTags(ctx)
		waiting = t.Queue.HidesAll()
	}
	at, bound, late := t.register(ctx, tags, p)
	if waiting {
		late = cmp.Or(late, writequeue.ErrNotReplayed) // the queued invalidation will remove the value
	}
	w := t.newWrites(ctx, len(keys))
	defer w.Wait() // a codec, Cost or Clone may panic
	wrong := make(map[string]error)
	for _, key := range keys {
		ch := keyWrite[T, S]{ref: inflight.Ref[T, S]{Key: key, Hash: t.Hash(key)}}
		r, err := t.newRecord(key, value(key), at.Stamp(tags), p)
		if err == nil {
			err = t.setRecord(ctx, &ch, r, bound, p)
		}
		if err != nil {
			wrong[key] = err
			continue
		}
		w.Add(ch)
	}
	done := w.end()
	done.Wrong = wrong
	if done.Err == nil && late != nil && len(wrong) < len(keys) {
		for _, key := range keys {
			if wrong[key] == nil {
				done.Queued = append(done.Queued, strings.Clone(key)) // because the queue keeps it
			}
		}
		done.Err = t.Queue.Failed(done.Queued, false, late)
	}
	return done
}

// register returns the position and the dependencies of values that are being set. Concurrent invalidations may be ordered
// before or after it, but if one hits a tag that is registered at the same time, register tries again.
func (t *Tiers[T, S]) register(ctx context.Context, names []string, p *record.Policy) (at coherence.Position, b *coherence.Deps, err error) {
	began := mono.Now()
	if t.Remote != nil && t.Remote.Conn.Nodes.AnyFeed().NoEvents {
		t.Tags.SeqChanged() // under an epoch that ended unnoticed the values would be invalid
	}
	for range 3 {
		if at, err = t.Tags.Position(ctx); err == nil {
			b, err = t.Tags.Register(ctx, at, names, t.Retention.MaxRedisTTL(p.TTL))
		}
		if errors.Is(err, tags.ErrHeld) {
			return at, nil, nil // like a value that an invalidation has just hit
		}
		if err != nil {
			return at, t.Tags.BindUnstored(t.Tags.LastKnown(), names, t.temporary(began), t.Tags.Invalidations()), err
		}
		if b != nil {
			return at, b, nil
		}
		t.Tags.SeqChanged()
	}
	return at, nil, nil
}

// newRecord returns a record of a value that is being set. Its error concerns the value.
func (t *Tiers[T, S]) newRecord(key string, value T, m coherence.Stamp, p *record.Policy) (r *record.Record[T], err error) {
	if t.Values.Clone != nil {
		if value, err = t.Values.Copy(value); err != nil {
			return nil, fmt.Errorf("tiered: the value of %.100q: %w", key, err)
		}
	}
	r = record.NewFor(p, value, false, 0, m)
	if r.Cost, err = t.Values.Weigh(&r.Value); err != nil {
		return nil, fmt.Errorf("tiered: the value of %.100q: %w", key, err)
	}
	return r, nil
}

// Remove makes the same write, without a value, of all the keys.
func (t *Tiers[T, S]) Remove(ctx context.Context, keys []string, as remote.Write) Written {
	if len(keys) > 1 {
		keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	}
	w := t.newWrites(ctx, len(keys))
	for _, key := range keys {
		w.Add(keyWrite[T, S]{ref: inflight.Ref[T, S]{Key: key, Hash: t.Hash(key)}, redis: as})
	}
	return w.end()
}

// InvalidateTags makes every value that has one of the tags invalid, or with expire stale.
func (t *Tiers[T, S]) InvalidateTags(ctx context.Context, tags []string, expire bool) error {
	if t.Remote != nil {
		return t.Queue.InvalidateTags(ctx, tags, expire)
	}
	t.Tags.Invalidated(tags, expire)
	return nil
}

// InvalidateAll makes everything invalid, or with expire stale.
func (t *Tiers[T, S]) InvalidateAll(ctx context.Context, expire bool) (err error) {
	if t.Remote != nil {
		err = t.Queue.InvalidateAll(ctx, expire)
	} else {
		t.Tags.Cleared(expire)
	}
	t.Keys.SupersedeAll()
	return err
}
