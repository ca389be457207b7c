package tiers

import (
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
// Writes and loads of this process have their own order (package inflight): the item isn't put if one of them came between.

// kept is an item that is to stay local.
type kept[T any] struct {
	item *local.Item[T]
	head string // of its frame
}

// keptBy returns what the key write's item becomes once its server has confirmed it; zero: it needs no confirmation, or can't have one.
func (t *Tiers[T, S]) keptBy(a redisconn.Reply, ch *keyWrite[T, S]) (k kept[T]) {
	if ch.item == nil || a.Err != nil || a.Feed.Ask == nil || ch.item.Validity != a.Feed.Validity() {
		return k
	}
	deps := *ch.item.Deps
	return kept[T]{ch.item.WithDeps(&deps), string(ch.redis.Frame[:wire.FrameHead])}
}

// keep puts the item into the local tier when Redis has confirmed that the key of h still has it.
func (t *Tiers[T, S]) keep(h inflight.Ref[T, S], k kept[T]) {
	if k.item == nil {
		return
	}
	feed := k.item.Feed
	h = t.Keys.Ref(h.Key, h.Hash)
	asked := feed.Ask(t.Remote.Keys.Value(h.Key), len(k.head), func(head string, err error) {
		if err != nil || head != k.head || feed.Validity() != k.item.Validity {
			k.item = nil
		}
		t.Keys.PutKept(h, k.item)
	})
	if !asked {
		t.Keys.Release(h)
	}
}
