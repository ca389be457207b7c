package tags

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// The functions of this file look at the tag store, and change nothing there: unlike those for loads they create no epoch and no record.

// States are the epoch and some tags, as the tag store has them.
type States struct {
	Epoch *coherence.Epoch // nil: the store has none, so it has lost all invalidations
	Count uint64           // of invalidations
	Tags  []*coherence.TagState
	TTLs  []time.Duration // of the tags' records; negative: they don't expire
}

// Look returns the present states. In a cache without Redis these are the process's own.
func (x *Index) Look(ctx context.Context, names []string) (States, error) {
	if x.Store != nil {
		return x.Store.look(ctx, names)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	s := States{Epoch: x.epoch.Load(), Count: x.current.Load().Seq}
	for _, tag := range names {
		s.Tags, s.TTLs = append(s.Tags, x.records[tag]), append(s.TTLs, -1)
	}
	return s, nil
}

// look reads the states from Redis.
func (s *Store) look(ctx context.Context, tags []string) (States, error) {
	n := len(tags)
	keys := append(append(s.tagKeys(tags), s.tagKeys(tags)...), s.names.Epoch, s.names.Seq)
	replies := s.do(ctx, redisconn.Request{Name: "inspect tags", Keys: keys, Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
		if n <= i && i < 2*n {
			return to.PTTL(ctx, keys[i])
		}
		return to.Get(ctx, keys[i])
	}})
	if err := redisconn.FirstError(replies); err != nil {
		return States{}, err
	}
	texts := make([]string, len(keys))
	ttls := make([]time.Duration, n)
	for i, r := range replies {
		switch cmd := r.Value.(type) {
		case *redis.StringCmd:
			texts[i] = cmd.Val()
		case *redis.DurationCmd:
			ttls[i-n] = cmd.Val()
		}
	}
	all := ParseStates(texts[2*n], texts[2*n+1], texts[:n])
	all.TTLs = ttls
	return all, nil
}

// ParseStates returns the states in the values of the keys of the epoch, the count and the records of tags, without TTLs. "" means that
// there is no such key.
func ParseStates(epoch, count string, records []string) States {
	s := States{Tags: make([]*coherence.TagState, len(records))}
	for i, record := range records {
		var r tagReply
		if r.parse(record); r.known {
			s.Tags[i] = &coherence.TagState{Epoch: r.epoch, Seq: r.seq, Expiry: r.expiry, Validity: coherence.Never}
		}
	}
	var e epochState
	if e.parse(epoch, count) == nil {
		s.Epoch, s.Count = coherence.NewEpoch(e.epoch, e.expiry, coherence.Never), e.seq
	}
	return s
}

// Explain says what the invalidations have left of a value, and why in words: "" if it is valid. The states are of the stamp's tags.
func (s *States) Explain(of *coherence.Stamp) (coherence.Status, string) {
	if s.Epoch == nil {
		return coherence.Invalid, "Redis has lost the cache's epoch, so every value counts as cleared"
	}
	if of.Epoch != s.Epoch.ID {
		return coherence.Invalid, "the cache was cleared (Clear) after the value's load began, or Redis had lost the cache's epoch"
	}
	status := of.Status(s.Epoch, s.Tags)
	if status == coherence.Valid {
		return status, ""
	}
	alone := coherence.NewEpoch(s.Epoch.ID, 0, coherence.Never) // without an ExpireAll
	for i, tag := range of.Tags {
		one := coherence.Stamp{Epoch: of.Epoch, Seq: of.Seq, Tags: of.Tags[i : i+1]}
		switch t := s.Tags[i]; {
		case one.Status(alone, s.Tags[i:i+1]) != status:
		case t == nil:
			return status, fmt.Sprintf("there is no record of its tag %q: it was evicted from Redis, or never made", tag)
		case status == coherence.Invalid:
			return status, fmt.Sprintf("its tag %q was invalidated (InvalidateTags) after the value's load began", tag)
		default:
			return status, fmt.Sprintf("its tag %q was expired (ExpireTags) after the value's load began", tag)
		}
	}
	return status, "everything was expired (ExpireAll) after the value's load began"
}

// Names calls add with each tag of which this process has a record, in no order. add must not use the Index.
func (x *Index) Names(add func(tag string)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for tag := range x.records {
		add(tag)
	}
}
