package tags

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// A value depends on its epoch and its tags. The functions of this file return these dependencies for a value that was read, that is
// to be stored, or that only this process has.

// BindUnstored returns the dependencies of a value that Redis doesn't have. Their validity is p, which the caller bounds by the time
// at which the value was made. Only this process's invalidations of the tags are known: began is how many there were when the
// load began. BindUnstored returns nil if the value may have been invalidated since.
func (x *Index) BindUnstored(s coherence.Position, names []string, p *coherence.Validity, began uint64) *coherence.Deps {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(names) > 0 && began != x.own.Load() {
		return nil
	}
	b := &coherence.Deps{Validity: p, Epoch: &coherence.Epoch{ID: s.Epoch.ID, Over: s.Epoch.Over}}
	b.Epoch.Validity.Store(p)
	for _, tag := range names {
		r := x.records[tag]
		if r == nil {
			r = &coherence.TagState{Validity: coherence.Never}
			x.put(tag, r)
		}
		b.Tags = append(b.Tags, r)
	}
	return b
}

// Bind returns the dependencies of records read from Redis: their epoch and tags. They are nil for a record that was
// invalidated, and nil with an error if the state of one of its tags can't be read. Bind marks expired records as such.
func (x *Index) Bind(ctx context.Context, all []*record.Meta) (bound []*coherence.Deps, errs []error) {
	bound, errs = make([]*coherence.Deps, len(all)), make([]error, len(all))
	e, err := x.Epoch(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return bound, errs
	}
	var names []string
	for _, m := range all {
		if m != nil && m.Epoch == e.ID {
			names = append(names, m.Tags...)
		}
	}
	records, failed := x.known(ctx, names)
	for i, m := range all {
		if m == nil || m.Epoch != e.ID {
			continue
		}
		for _, tag := range m.Tags {
			errs[i] = cmp.Or(errs[i], failed[tag])
		}
		d, status := depend(&m.Stamp, e, records)
		m.Expired = m.Expired || status == coherence.Expired
		if status != coherence.Invalid {
			bound[i] = &d
		}
	}
	return bound, errs
}

// BindKnown is Bind for one record, without asking the tag store. It returns false if it would have to, or if the record was
// invalidated or expired.
func (x *Index) BindKnown(m *coherence.Stamp, at mono.Instant) (b coherence.Deps, ok bool) {
	e := x.epoch.Load()
	if e == nil || e.ID != m.Epoch || !e.Validity.Load().Holds(at) {
		return b, false
	}
	var records map[string]*coherence.TagState
	if len(m.Tags) > 0 {
		records = make(map[string]*coherence.TagState, len(m.Tags))
		if unknown, _ := x.kept(m.Tags, 0, records); len(unknown) > 0 {
			return b, false
		}
	}
	b, status := depend(m, e, records)
	return b, status == coherence.Valid
}

// depend returns the dependencies of a value with this stamp, and its status under them.
func depend(m *coherence.Stamp, e *coherence.Epoch, records map[string]*coherence.TagState) (coherence.Deps, coherence.Status) {
	d := coherence.Deps{Epoch: e}
	for _, tag := range m.Tags {
		d.Tags = append(d.Tags, records[tag])
	}
	return d, m.Status(e, d.Tags)
}

// known returns the tags' records, which it reads from the tag store where necessary, and the errors of those reads.
func (x *Index) known(ctx context.Context, names []string) (records map[string]*coherence.TagState, failed map[string]error) {
	if len(names) == 0 {
		return nil, nil
	}
	records = make(map[string]*coherence.TagState, len(names))
	unknown, changes := x.kept(names, 0, records)
	if len(unknown) == 0 {
		return records, nil
	}
	replies := x.Store.read(ctx, unknown)
	failed = make(map[string]error)
	for i, e := range replies {
		if e.err != nil {
			failed[unknown[i]] = e.err
		}
	}
	x.keepReplies(unknown, replies, changes, records)
	return records, failed
}

// Register returns the dependencies of a value that is to be stored for ttl, or nil if it was already invalidated. It creates
// the missing records of the value's tags. If one of them is held, the error is [ErrHeld].
func (x *Index) Register(ctx context.Context, s coherence.Position, names []string, ttl time.Duration) (*coherence.Deps, error) {
	var validity *coherence.Validity
	if x.Store == nil {
		validity = coherence.Always
	}
	if len(names) == 0 {
		return &coherence.Deps{Epoch: s.Epoch, Validity: validity}, nil
	}
	d, err := x.registerTags(ctx, s, names, ttl)
	if d != nil {
		d.Validity = validity
	}
	return d, err
}

// registerTags is Register without the validity, for at least one tag. It is apart because it takes a lot of stack, which the job of
// a value without tags would have to grow.
func (x *Index) registerTags(ctx context.Context, s coherence.Position, names []string, ttl time.Duration) (*coherence.Deps, error) {
	records := make(map[string]*coherence.TagState, len(names))
	unknown, changes := x.kept(names, ttl, records)
	switch {
	case len(unknown) == 0:
	case x.Store == nil:
		x.create(unknown, records)
	default:
		replies, err := x.Store.register(ctx, s.Epoch.ID, unknown, ttl)
		if err != nil {
			return nil, err
		}
		if err := x.removeLeft(ctx, unknown, replies); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(replies, func(r tagReply) bool { return r.hold != noHold }) {
			return nil, ErrHeld
		}
		x.keepReplies(unknown, replies, changes, records)
	}
	stamp := coherence.Stamp{Epoch: s.Epoch.ID, Seq: s.Seq, Tags: names}
	d, status := depend(&stamp, s.Epoch, records)
	if status != coherence.Valid {
		return nil, nil
	}
	return &d, nil
}
