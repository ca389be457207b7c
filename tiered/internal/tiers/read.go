package tiers

import (
	"context"
	"errors"
	"slices"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/remote"
	"github.com/tiercache/tiercache/tiered/internal/wire"
	"github.com/tiercache/tiercache/tiered/internal/writequeue"
)

// Hit is the result of reading a key: the record, if there is one of use.
type Hit[T any] struct {
	Key      string // the cache's own copy
	Record   *record.Record[T]
	InMemory bool              // the record is the local tier's
	Found    *remote.Result[T] // what Redis has, if there is no record; nil: it wasn't asked
	Err      error             // Redis can't be read, and the local tier has no substitute
}

// Fetch reads the keys from Redis into the local tier, and returns the records that allow at least the given use. If Redis
// can't be read, it returns what the local tier has. The caller holds the references to the keys.
func (t *Tiers[T, S]) Fetch(ctx context.Context, refs []inflight.Ref[T, S], least record.Use, p *record.Policy) []Hit[T] {
	hits := make([]Hit[T], len(refs))
	found := t.Read(ctx, refs, p, remote.ReadOptions{})
	for i := range found {
		f := &found[i]
		switch {
		case redisconn.Unanswered(f.Err) && ctx.Err() == nil:
			hits[i] = t.unreadable(refs[i], least, f.Err, p)
		case f.Use(&p.Windows) >= least:
			hits[i] = Hit[T]{Key: refs[i].Key, Record: f.Record}
			t.Fill(refs[i], f, p)
		default:
			hits[i] = Hit[T]{Key: refs[i].Key}
		}
		hits[i].Found = f
	}
	return hits
}

// maxFetch limits how many keys FetchMany reads before it decodes them.
const maxFetch = 10 * redisconn.MaxChunk

// FetchMany fetches the fresh values of any number of keys, which it reads in chunks, and calls each with every hit. Once Redis
// doesn't answer, it isn't asked for the rest. FetchMany returns early if ctx ends.
func (t *Tiers[T, S]) FetchMany(ctx context.Context, keys []inflight.Ref[T, S], p *record.Policy, each func(Hit[T])) {
	var silence error
	for part := range slices.Chunk(keys, maxFetch) {
		if silence == nil {
			silence = t.fetchChunk(ctx, part, p, each)
		} else {
			failed := t.Remote.Unsent(len(part), silence)
			for i, k := range part {
				h := t.unreadable(k, record.RefreshDue, silence, p)
				h.Found = &remote.Result[T]{Reply: failed[i]}
				each(h)
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// fetchChunk is FetchMany for a chunk of keys. It returns an error if Redis doesn't answer any more.
func (t *Tiers[T, S]) fetchChunk(ctx context.Context, keys []inflight.Ref[T, S], p *record.Policy, each func(Hit[T])) (silence error) {
	refs := make([]inflight.Ref[T, S], len(keys))
	for i, k := range keys {
		refs[i] = t.Keys.Ref(k.Key, k.Hash)
	}
	defer func() {
		for _, h := range refs {
			t.Keys.Release(h)
		}
	}()
	silent := 0 // unanswered keys at the end; a Cluster's other masters would have answered some in between
	for _, h := range t.Fetch(ctx, refs, record.RefreshDue, p) {
		if each(h); redisconn.IsUnresponsive(h.Err) {
			silent, silence = silent+1, h.Err
		} else {
			silent = 0
		}
	}
	if silent < min(len(refs), redisconn.MaxChunk) {
		return nil
	}
	return silence
}

// unreadable returns the local tier's record of a key that can't be read from Redis, or the error if there is none.
func (t *Tiers[T, S]) unreadable(k inflight.Ref[T, S], least record.Use, why error, p *record.Policy) Hit[T] {
	var it *local.Item[T]
	if least == record.IfError {
		it = t.Local.GetUnverifiedStale(k.Key, k.Hash)
	} else {
		it = t.Local.GetUnverified(k.Key, k.Hash, nil)
	}
	if at := mono.Now(); it != nil && it.Use(&p.Windows, at) >= least {
		if least == record.IfError && !it.Valid(at) { // GetUnverified has counted its own
			t.Local.CountUnverified()
		}
		return Hit[T]{Key: it.Key, Record: &it.Record, InMemory: true}
	}
	if errors.Is(why, writequeue.ErrNotReplayed) { // a key with a queued write counts as missing
		why = nil
	}
	return Hit[T]{Key: k.Key, Err: why}
}

// Fill puts a record read from Redis into the local tier.
func (t *Tiers[T, S]) Fill(h inflight.Ref[T, S], f *remote.Result[T], p *record.Policy) *local.Item[T] {
	it := t.Local.NewItem(h.Key, h.Hash, f.Record, *f.Deps, p.LocalUntil(mono.Now(), f.Record.FreshUntil))
	if f.Feed.Watch == nil || !f.Framed() || !t.keep(h, keptItem(it, f.Feed, f.Seen.Bytes)) {
		t.Keys.PutRead(h, it)
	}
	return it
}

// Read reads the keys from Redis and checks the validity of the records. A key with a queued write isn't read: Redis may still hold
// the value that the write replaces or removes.
func (t *Tiers[T, S]) Read(ctx context.Context, refs []inflight.Ref[T, S], p *record.Policy, how remote.ReadOptions) []remote.Result[T] {
	var hidden []bool
	asked := refs
	if t.Queue.Len() > 0 {
		hidden, asked = make([]bool, len(refs)), nil
		for i, h := range refs {
			if hidden[i] = t.Queue.Hides(h.Key); !hidden[i] {
				asked = append(asked, h)
			}
		}
		if len(asked) < len(refs) {
			how.Started, how.Lease = nil, nil // they correspond to all the keys
		}
	}
	results := t.readRemote(ctx, asked, p, how)
	all := t.Queue.HidesAll()
	if hidden == nil && !all {
		return results
	}
	merged := make([]remote.Result[T], len(refs))
	for i := range refs {
		if hidden == nil || !hidden[i] {
			merged[i], results = results[0], results[1:]
		}
		if all || hidden != nil && hidden[i] {
			merged[i] = remote.Result[T]{Reply: t.Remote.Failed(1, t.Queue.Withheld(refs[i].Key, all))[0]}
		}
	}
	return merged
}

// readRemote reads the keys from Redis and checks the validity of the records against their tags and the epoch.
func (t *Tiers[T, S]) readRemote(ctx context.Context, refs []inflight.Ref[T, S], p *record.Policy, how remote.ReadOptions) []remote.Result[T] {
	results := t.Remote.Read(ctx, KeysOf(refs, func(h inflight.Ref[T, S]) string { return h.Key }), p, how)
	all, framed := make([]*record.Meta, len(refs)), false
	for i := range results {
		f := &results[i]
		switch {
		case f.Record == nil:
		case f.Framed():
			all[i], framed = f.Record.Meta, true
		default:
			f.Deps = &coherence.Deps{Validity: f.Validity, Feed: f.Feed}
		}
	}
	if !framed {
		return results
	}
	bound, errs := t.Tags.Bind(ctx, all)
	for i := range results {
		f := &results[i]
		switch {
		case all[i] == nil:
		case errs[i] != nil:
			f.Err = errs[i]
		case bound[i] == nil:
			f.Record, f.Vacant = nil, f.Others == nil
		default:
			f.Deps = bound[i]
			f.Deps.Validity, f.Deps.Feed = f.Validity, f.Feed
		}
	}
	return results
}

// ReadsKeysOnly reports whether a Decode of a reply will need no other request, so that reading a key takes one.
func (t *Tiers[T, S]) ReadsKeysOnly(at mono.Instant) bool {
	e := t.Tags.KnownEpoch()
	return t.Remote != nil && e != nil && e.Validity.Load().Holds(at) && t.Queue.Len() == 0 && t.Remote.Conn.HasTime()
}

// Decode decodes a reply from Redis to a read of the key. It returns nil if the value can't be served at the instant, or if
// checking it needs another request. The item isn't in the local tier yet.
func (t *Tiers[T, S]) Decode(ctx context.Context, key string, a redisconn.Reply, at mono.Instant, p *record.Policy) *local.Item[T] {
	data, _ := a.Bytes()
	if a.Err != nil || !wire.IsFrame(data) {
		return nil
	}
	it := &local.Item[T]{Key: key}
	m, found, err := t.Remote.DecodeFrame(ctx, &remote.Raw{Key: key, Bytes: data, At: at}, p, &it.Record)
	if !found || err != nil {
		return nil // Read reports an error
	}
	t.Local.SetMeta(it, m, p.LocalUntil(at, it.FreshUntil))
	b, ok := t.Tags.BindKnown(&it.Stamp, at)
	if !ok || it.Use(&p.Windows, at) < record.WhileRevalidate || t.Queue.HidesAll() { // in this order: see writequeue
		return nil
	}
	b.Validity, b.Feed = a.Validity, a.Feed
	t.Local.SetDeps(it, b)
	return it
}

// Rebind returns the item to serve after an invalidation of its tags or epoch was reported: a stale copy if they were expired; an
// item with the same record if the report was only late, of a change before the value; nil if they were invalidated.
func (t *Tiers[T, S]) Rebind(it *local.Item[T]) *local.Item[T] {
	if t.Remote == nil {
		return t.Local.AfterExpiry(it)
	}
	m := *it.Meta
	bound, errs := t.Tags.Bind(t.Base, []*record.Meta{&m})
	if bound[0] == nil || errs[0] != nil || t.Queue.HidesAll() {
		return nil
	}
	deps := bound[0]
	deps.Validity, deps.Feed = it.Validity, it.Feed
	if m.Expired {
		return t.Local.StaleCopy(it, deps)
	}
	return it.WithDeps(deps)
}
