//go:build !windows

package chaos

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/history"
)

// loss is what is known of a master that died ahead of its replica.
type loss struct {
	cutFrom, cutTo              int64 // between these the replica lost its link, for good
	paused                      int64 // from then on the master took no writes
	killed                      int64
	masterOffset, replicaOffset int64             // of replication, at the end
	master, replica             map[string]string // all that they had then, by Redis's keys
	owned                       map[string]bool   // the cache's keys that the master was in charge of
}

// remains reads what the replica has, which until it is promoted, much later, is all that it was sent.
func (l *loss) remains(replica node) (err error) {
	if l.replicaOffset, err = replica.info("slave_repl_offset"); err != nil {
		return err
	}
	l.replica, err = replica.contents()
	return err
}

// evidence says why a write is known to be lost, or nothing.
func (l *loss) evidence(op *history.Op) string {
	if !op.OK || op.End < l.cutFrom || op.Start > l.paused || op.End > l.killed || l.replicaOffset >= l.masterOffset {
		return ""
	}
	behind := fmt.Sprintf("the replica died to the master at offset %d, %d behind", l.replicaOffset, l.masterOffset-l.replicaOffset)
	switch op.Kind {
	case history.Set, history.Delete, history.Expire:
		switch k := redisKey(op.Key); {
		case !l.owned[op.Key]:
			return ""
		case op.Start >= l.cutTo:
			return behind + ", before the write began"
		case l.master[k] != l.replica[k]:
			return behind + fmt.Sprintf(", with %q for %q under %q", l.replica[k], l.master[k], k)
		}
	case history.InvalidateTags, history.Clear:
		if k, differs := l.record(); differs {
			return behind + fmt.Sprintf(", with %q for %q under %q", l.replica[k], l.master[k], k)
		}
	}
	return ""
}

// record returns the key of a record of the cache's, not a value, in which master and replica differ. Those of tags and
// clears are such; which one belongs to which tag is of no matter here.
func (l *loss) record() (key string, differs bool) {
	records := redisPrefix + cacheName + "!"
	for k, v := range l.master {
		if other, ok := l.replica[k]; strings.HasPrefix(k, records) && (!ok || v != other) {
			return k, true
		}
	}
	for k := range l.replica {
		if _, ok := l.master[k]; strings.HasPrefix(k, records) && !ok {
			return k, true
		}
	}
	return "", false
}

// ownedBy returns the keys that a master is in charge of.
func (in *injector) ownedBy(master node) map[string]bool {
	owned := make(map[string]bool)
	cluster, isCluster := in.foreign.client.(*redis.ClusterClient)
	for i := range in.options.Keys {
		key := keyName(i)
		if isCluster {
			its, err := cluster.MasterForKey(context.Background(), redisKey(key))
			if err != nil || its.Options().Addr != string(master) {
				continue
			}
		}
		owned[key] = true
	}
	return owned
}

// lose keeps what is known of a loss for the record.
func (in *injector) lose(l *loss) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.losses = append(in.losses, l)
}
