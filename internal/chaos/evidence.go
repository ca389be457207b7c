//go:build !windows

package chaos

import (
	"fmt"
	"strings"

	"github.com/tiercache/tiercache/internal/history"
)

// loss is what is known of a master that was killed ahead of its replica.
type loss struct {
	cutFrom, cutTo              int64 // the replica lost its link for good between these
	paused                      int64 // from then on the master took no writes
	killed                      int64
	masterOffset, replicaOffset int64             // of replication, at the end
	master, replica             map[string]string // all values that they had then, by Redis key
	owned                       map[string]bool   // the cache's keys whose slots the master owned
}

// readReplica reads the replica's contents. Until it is promoted, much later, that is all that it received.
func (l *loss) readReplica(replica node) (err error) {
	if l.replicaOffset, err = replica.info("slave_repl_offset"); err != nil {
		return err
	}
	l.replica, err = replica.contents()
	return err
}

// evidence says why a write is known to be lost. It returns "" if it isn't known to be.
func (l *loss) evidence(op *history.Op) string {
	if !op.OK || op.End < l.cutFrom || op.Start > l.paused || op.End > l.killed || l.replicaOffset >= l.masterOffset {
		return ""
	}
	behind := fmt.Sprintf("the replica lost its link at offset %d, %d behind the master", l.replicaOffset, l.masterOffset-l.replicaOffset)
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
		if k, differs := l.differingRecord(); differs {
			return behind + fmt.Sprintf(", with %q for %q under %q", l.replica[k], l.master[k], k)
		}
	}
	return ""
}

// differingRecord returns the key of a record of the cache's, not a value, in which master and replica differ. Those of tags and
// clears are such; which one belongs to which tag is of no matter here.
func (l *loss) differingRecord() (key string, differs bool) {
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
