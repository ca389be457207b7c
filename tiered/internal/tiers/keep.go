package tiers

import (
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/local"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A value that this process loaded or wrote stays local.
//
// Redis reports the store of a value like any other change, and the local tier drops what it has: the report doesn't say whose change it
// was, and one report may be of two. So the value enters the local tier once more when Redis has said that the key still
// has it. This is asked over the connection that brings the reports, after the answer to the store:
//
//   - The report of the store comes before the reply, because Redis sends what a turn of its event loop has changed before it sends
//     the turn's answers, and the question is executed in a later turn.
//   - A change before the question shows in the reply, whoever made it: no other value of the key has the same head.
//   - A change after it is reported after the reply, and removes the item as it would any other.
//
// Where the server reports only keys that it was asked about (TrackingKeys), values that were read enter the local tier in the same way,
// and are kept. Before that they are valid only for as long as a local hit may be behind Redis.
//
// Writes and loads of this process have their own order (package inflight): the item isn't put if one of them came between.

// kept is an item that is to be in the local tier, and to stay there. The zero kept is none.
type kept[T any] struct {
	item *local.Item[T]
	head string // of its frame
}

// keptItem returns a copy of the item with the present validity of the feed.
func keptItem[T any](it *local.Item[T], f *coherence.Feed, head string) kept[T] {
	deps := *it.Deps
	deps.Validity = f.Validity()
	return kept[T]{it.WithDeps(&deps), head}
}

// storedItem returns what the key write's item becomes once the server that stored it has confirmed it.
func storedItem[T, S any](a redisconn.Reply, ch *keyWrite[T, S]) (k kept[T]) {
	if ch.item == nil || a.Err != nil || a.Feed.Ask == nil || a.Feed.Watch == nil && ch.item.Validity != a.Feed.Validity() {
		return k
	}
	return keptItem(ch.item, a.Feed, string(ch.redis.Frame[:wire.FrameHead]))
}

// keep puts the item into the local tier when its server has confirmed that the key of h still has it. It returns false if the server
// can't be asked.
func (t *Tiers[T, S]) keep(h inflight.Ref[T, S], k kept[T]) bool {
	return k.item != nil && t.ask(t.Keys.Ref(h.Key, h.Hash), k)
}

// ask is keep with a reference of its own, which it releases.
func (t *Tiers[T, S]) ask(h inflight.Ref[T, S], k kept[T]) bool {
	feed := k.item.Feed
	asked := feed.Ask(t.Remote.Keys.Value(h.Key), len(k.head), func(head string, err error) {
		it := k.item // k isn't changed, so that the function holds a copy of it
		if err != nil || head != k.head || feed.Validity() != it.Validity {
			it = nil
		}
		t.Keys.PutKept(h, it)
		if err == nil && head != k.head && feed.Watch != nil { // nobody reports that it has changed
			t.Keys.Changed(h.Key, h.Hash)
		}
	})
	if !asked {
		t.Keys.Release(h)
	}
	return asked
}

// KeepRead puts an item that Decode has returned for the reply into the local tier, once it is confirmed. It returns false if the caller
// has to put it there: it needs no confirmation, or can't have one.
func (t *Tiers[T, S]) KeepRead(h inflight.Ref[T, S], it *local.Item[T], a redisconn.Reply) bool {
	if it.Feed.Watch == nil {
		return false
	}
	data, _ := a.Bytes()
	return t.keep(h, keptItem(it, it.Feed, string(data[:wire.FrameHead])))
}
