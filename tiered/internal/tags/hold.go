package tags

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// A tag is held while a transaction that changes the source of its values is being committed: a hold is in the place of the tag's
// record. So no value with the tag is valid, and none is stored. The holder increments the count when it has placed the hold, and again
// before it ends it, as for any invalidation: the next record gets a count that is higher than that of all loads from before.
//
// A holder that died doesn't do the latter. So Redis keeps the key longer than the hold lasts, as long as a record. Whoever finds a
// hold that was left increments the count in the holder's place, before it removes the hold.

// ErrHeld is the error of a value that can't be stored because one of its tags is held.
var ErrHeld = redisconn.NewAnsweredError("tiered: redis: a tag is held")

// holdState is the state of a hold in the place of a tag's record.
type holdState string

const (
	noHold holdState = ""
	held   holdState = "held"
	left   holdState = "left" // its time is over, but its holder hasn't ended it
)

// holdStateOf returns the state in registerScript's reply.
func holdStateOf(reply string) holdState {
	switch s := holdState(reply); s {
	case held, left:
		return s
	}
	return noHold
}

// Hold holds the tags. An invalidation of them must follow.
func (x *Index) Hold(ctx context.Context, names []string, h redisconn.Hold) error {
	return x.Store.changeHolds(ctx, names, func(ctx context.Context, to redis.Cmdable, key string) redis.Cmder {
		return h.Queue(ctx, to, key, minTTL)
	})
}

// Release ends the holder's hold of the tags. They must have been invalidated since it began, after the transaction's end.
func (x *Index) Release(ctx context.Context, names []string, h redisconn.Hold) error {
	return x.Store.changeHolds(ctx, names, h.QueueRelease)
}

// changeHolds makes a command for each tag, and publishes the change.
func (s *Store) changeHolds(ctx context.Context, tags []string, command func(ctx context.Context, to redis.Cmdable, key string) redis.Cmder) error {
	keys := s.tagKeys(tags)
	answers := s.do(ctx, redisconn.Request{
		Name: "hold tags",
		Keys: keys,
		Command: func(ctx context.Context, to redis.Cmdable, i int) redis.Cmder {
			return command(ctx, to, keys[i])
		},
	})
	if err := s.redis.PublishChanges(ctx, keys); err != nil {
		return err
	}
	return redisconn.FirstError(answers)
}

// removeLeft removes the holds that register has found left, once it has incremented the count.
func (x *Index) removeLeft(ctx context.Context, names []string, replies []tagReply) error {
	var ended []string
	for i, r := range replies {
		if r.hold == left {
			ended = append(ended, names[i])
		}
	}
	if len(ended) == 0 {
		return nil
	}
	s := x.Store
	if _, err := s.open(ctx, 1, false); err != nil {
		return err
	}
	x.SeqChanged()
	if err := s.redis.PublishChanges(ctx, []string{s.names.Seq}); err != nil {
		return err
	}
	return s.changeHolds(ctx, ended, redisconn.Hold{}.QueueRelease) // it removes all whose time is over
}
