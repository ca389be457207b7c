//go:build !windows

package chaos_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/chaos"
	"github.com/tiercache/tiercache/internal/redistest"
)

// mutation is a way to break the library that a run must detect.
type mutation struct {
	name     string
	topology chaos.Topology // "": single
	mode     string         // of the runs, see modes; "": tracking
	focus    string         // of the runs
	breaks   []string       // guarantees; a run must report a violation of at least one of them
	edits    []edit
}

var mutations = []mutation{
	{
		name: "the local tier is changed before Redis, and not after", focus: "fills", breaks: []string{"G3"},
		edits: []edit{
			{"internal/tiers/write.go", "	mark := t.Queue.Mark()\n",
				"	for _, ch := range locked {\n		t.Keys.EndWrite(ch.ref, nil, false)\n	}\n	mark := t.Queue.Mark()\n"},
			{"internal/tiers/write.go", "	w.tiers.finish(changes, answers)\n", ""},
		},
	},
	{
		name: "invalidations are counted from after the read of Redis", focus: "late replies", breaks: []string{"G2"},
		edits: []edit{{"internal/tiers/read.go",
			"	t.Keys.PutRead(h, ",
			"	h = t.Keys.Listen(h, nil)\n	t.Keys.PutRead(h, "}},
	},
	{
		name: "the validity of a lost connection doesn't end", focus: "reconnect", breaks: []string{"G2"},
		edits: []edit{
			{"internal/invalidation/stream.go", "	s.Validity().End()\n", ""},
			{"internal/invalidation/stream.go", "	s.Current.Store(coherence.NewValidity(0))\n", "	if s.Validity() == coherence.Never {\n		s.Current.Store(coherence.NewValidity(0))\n	}\n"},
			// Otherwise the first canary of a new connection finds no mark that it expects, which ends the validity too.
			{"internal/invalidation/tracking.go", "	t.markedAt.Store(0) // nothing that was read before is served any more\n", ""},
		},
	},
	{
		name: "what a new cache reads is valid before Redis reports its changes", focus: "new caches", breaks: []string{"G2"},
		edits: []edit{
			{"internal/redisconn/requester.go", "has(q.Keys[nb.indexes[n]]) {\n", "has(q.Keys[nb.indexes[n]]) && false {\n"},
			{"new.go", "	c.redis.streams.Follow(c.name)\n", ""},
			{"internal/invalidation/connection.go", "	missing := c.names.add(g.hooks.Names(), number)\n",
				"	var missing []string\n	if number%10 == 0 { // two seconds\n		missing = c.names.add(g.hooks.Names(), number)\n	}\n"},
		},
	},
	{
		name: "a new connection doesn't report the caches that were opened on the last", focus: "reconnect", breaks: []string{"G2"},
		edits: []edit{{"internal/invalidation/tracking.go", "append(t.prefixes(names), t.group.canaryPrefix())", "[]string{t.group.canaryPrefix()}"}},
	},
	{
		name: "all leases of a process have one token", focus: "leases", breaks: []string{"G1"},
		edits: []edit{
			{"internal/wire/lease.go", "	binary.BigEndian.PutUint64(l.Token[:], rand.Uint64())\n	binary.BigEndian.PutUint64(l.Token[8:], rand.Uint64())\n",
				"	l.Token = processToken\n"},
			{"internal/wire/lease.go", "const (\n	leaseMagic ", "var processToken = func() (t [tokenLen]byte) {\n	binary.BigEndian.PutUint64(t[:], rand.Uint64())\n	return t\n}()\n\nconst (\n	leaseMagic "},
		},
	},
	{
		name: "a load's result replaces any value", focus: "leases", breaks: []string{"G1"},
		edits: []edit{{"internal/redisconn/cas.go", "if v~=ARGV[1] then return 0 end\n", ""}},
	},
	{
		name: "a load takes its count of invalidations when it ends", focus: "tags", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/tiers/store.go",
			"		b, err := t.Tags.Register(ctx, tk.stamp, r.Tags",
			"		var err error\n		if tk.stamp, err = t.Tags.Position(ctx); err != nil {\n			return nil, err\n		}\n" +
				"		r.Stamp = tk.stamp.Stamp(r.Tags)\n		b, err := t.Tags.Register(ctx, tk.stamp, r.Tags"}},
	},
	{
		name: "an expiry of tags, or of everything, leaves what is in Redis fresh", focus: "expiries", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/coherence/stamp.go", "	if s.Seq < expiry {\n		return Expired\n	}\n", ""}},
	},
	{
		name: "values enter the local tier without a check of the generation", focus: "fills", breaks: []string{"G3"},
		edits: []edit{{"internal/inflight/put.go", "	if h.isCurrent() {\n		t.put(h, it)\n	}\n", "	t.put(h, it)\n"},
			{"internal/inflight/put.go", "	if f.isCurrent() {\n		t.local.SetBuffered(f.Hash, it, at)\n	}\n", "	t.local.SetBuffered(f.Hash, it, at)\n"}},
	},
	{
		name: "the front of the local tier keeps what is deleted, and doesn't ask whether it was", focus: "fills", breaks: []string{"G2", "G3"},
		edits: []edit{
			{"internal/local/writebuffer.go", "	defer s.mu.Unlock()\n	b.store.front.Load().removeKey(key, hash)\n", "	defer s.mu.Unlock()\n"},
			{"internal/local/get.go", "it == nil || at >= it.LocalUntil() || !it.Valid(at)", "it == nil || !it.Valid(at)"},
		},
	},
	{
		name: "a flush isn't noticed, nor is a missing mark", focus: "flushes", breaks: []string{"G2"},
		edits: []edit{{"internal/invalidation/tracking.go", "		s.flushed() // of", "		// of"}, {"internal/invalidation/tracking.go", "	if lost && at > t.lost {", "	if lost && false {"}},
	},
	{
		name: "a swapped database isn't noticed", focus: "swaps", breaks: []string{"G2"},
		edits: []edit{{"internal/invalidation/tracking.go", "	if lost && at > t.lost {", "	if lost && false {"}},
	},
	{
		name: "a validity never ends", focus: "silence", breaks: []string{"G2"},
		edits: []edit{{"internal/coherence/validity.go", "return int64(at) < v.until.Load() }", "return v.until.Load() != ended }"}},
	},
	{
		name: "a PONG extends the validity", focus: "late stream", breaks: []string{"G2"},
		edits: []edit{{"internal/invalidation/connection.go", "		c.answered(payload)\n",
			"		c.answered(payload)\n		c.stream.Validity().Extend(mono.Now().Add(c.stream.group.MaxAge()))\n"}},
	},
	{
		name: "a PONG extends the validity, also one of a demoted master", topology: chaos.Sentinel, focus: "failover", breaks: []string{"G2"},
		edits: []edit{
			{"internal/invalidation/connection.go", "		c.answered(payload)\n",
				"		c.answered(payload)\n		c.stream.Validity().Extend(mono.Now().Add(c.stream.group.MaxAge()))\n"},
			{"internal/invalidation/watchdog.go", "		return errLeftBehind\n", "		return nil\n"},
		},
	},
	{
		name: "values of other releases are decoded", focus: "deploys", breaks: []string{"schema"},
		edits: []edit{{"internal/wire/versions.go", "case f.Codec == codec && f.Schema == schema:", "case f.Codec == codec:"}},
	},
	{
		name: "an expiry ends only the value of the release that stored last", focus: "deploys", breaks: []string{"G1", "G2", "G3"},
		edits: []edit{{"internal/wire/versions.go", "			f.Expired = f.Expired || first.Expired\n", ""}},
	},
	{
		name: "loads don't wait for a permit", focus: "overload", breaks: []string{"limit"},
		edits: []edit{{"internal/inflight/permits.go", "	case ps.running < ps.most && (!p.background || ps.refreshing < ps.mostBackground):\n", "	case true:\n"}},
	},
	{
		name: "keys aren't copied", focus: "reused memory", breaks: []string{"identity"},
		edits: []edit{
			{"internal/inflight/table.go", "s.add(k, strings.Clone(key))", "s.add(k, key)"},
			{"internal/inflight/table.go", "		if !o.OwnedKeys {\n			key = strings.Clone(key)\n		}\n", ""},
			{"internal/inflight/table.go", "	\"strings\"\n", ""},
		},
	},
	{
		name: "a process keeps what it stored, whatever Redis has by then", focus: "races", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/tiers/keep.go", "err != nil || head != k.head || ", "err != nil || "}},
	},
	{
		name: "with TrackingKeys what was read is kept, whatever Redis has by then", mode: byKey, focus: "races", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/tiers/keep.go", "err != nil || head != k.head || ", "err != nil || "},
			{"internal/tiers/keep.go", "err == nil && head != k.head && ", "false && "}},
	},
	{
		name: "with TrackingKeys Redis isn't asked about what is kept", mode: byKey, focus: "fills", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/redisconn/requester.go", "		return coherence.NewValidity(at.Add(r.MaxAge()))\n", "		return v\n"},
			{"internal/tiers/keep.go", "	return k.item != nil && t.ask(", "	return false && t.ask("}},
	},
	{
		name: "with TrackingKeys tags are read before Redis is asked about them", mode: byKey, focus: "tags", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/redisconn/requester.go", "	if !nb.Feed.Watch(ctx, keys) {\n", "	if false {\n"}},
	},
	{
		name: "with TrackingKeys tags are still watched after they were reported", mode: byKey, focus: "tags", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/invalidation/bykey.go", "		t.unwatch(key) //", "		//"}},
	},
	{
		name: "with TrackingKeys a swapped database isn't noticed", mode: byKey, focus: "swaps", breaks: []string{"G2"},
		edits: []edit{{"internal/invalidation/bykey.go", "err != nil || since != t.since {\n", "err != nil || t.since == 0 {\n"}},
	},
	{
		name: "with TrackingKeys the validity of a lost connection doesn't end", mode: byKey, focus: "reconnect", breaks: []string{"G2"},
		edits: []edit{
			{"internal/invalidation/stream.go", "	s.Validity().End()\n", ""},
			{"internal/invalidation/stream.go", "	s.Current.Store(coherence.NewValidity(0))\n", "	if s.Validity() == coherence.Never {\n		s.Current.Store(coherence.NewValidity(0))\n	}\n"},
			{"internal/invalidation/bykey.go", "err != nil || since != t.since {\n", "err != nil {\n"},
		},
	},
	{
		name: "own writes don't change the local tier", focus: "fills", breaks: []string{"G3"},
		edits: []edit{{"internal/inflight/put.go",
			"	h.state.supersede()\n	if h.Changes != h.state.changes {\n		it = nil\n	}\n	if expire {\n		t.local.Expire(h.Key, h.Hash)\n	} else {\n" +
				"		t.put(h, it)\n	}\n	t.wakeOwn(h.state)\n	s.release(h)\n",
			"	t.wakeOwn(h.state)\n	s.release(h)\n"}},
	},
	{
		name: "a read that may take the lease replaces what it finds", focus: "hot keys", breaks: []string{"G4"},
		edits: []edit{
			{"absences.go", "absencesExpected  = 8 ", "absencesExpected  = 0 "},
			{"internal/redisconn/request.go", `, "nx", "get"}`, `, "get"}`},
		},
	},
	{
		name: "a read that may take the lease counts invalidations from after it", focus: "late replies", breaks: []string{"G2"},
		edits: []edit{
			{"absences.go", "absencesExpected  = 8 ", "absencesExpected  = 0 "},
			{"internal/tiers/lease.go", "found.Err != nil || t.Keys.IsCurrent(f)", "true"},
			{"look.go", "	c.absences.note(", "	one[0].Ref = c.keys.Listen(one[0].Ref, nil)\n	c.absences.note("},
		},
	},
	{
		name: "no leases are taken", focus: "hot keys", breaks: []string{"G4"},
		edits: []edit{{"internal/tiers/lease.go", "a.primary(append(cl.Free, soonGone...))...", "append(cl.Free, soonGone...)..."}},
	},
	{
		name: "an invalidation of tags doesn't notice a new epoch", focus: "clears", breaks: []string{"G3"},
		edits: []edit{{"internal/tags/epoch.go", "	if !at.is(x.epoch.Load()) { // none is known: an older one may be on its way\n		x.EpochChanged()\n	}\n", ""}},
	},
	{
		name: "a tag without a record was never invalidated", focus: "lost tags", breaks: []string{"G2", "G3"},
		edits: []edit{{"internal/tags/bind.go", "		d.Tags = append(d.Tags, records[tag])\n",
			"		if records[tag] != nil {\n			d.Tags = append(d.Tags, records[tag])\n		}\n"}},
	},
}

// trial is the nth run that is to detect the mutation.
func (m mutation) trial(n int) trial {
	topology := cmp.Or(string(m.topology), string(chaos.Single))
	return trial{topology, cmp.Or(m.mode, tracking), m.focus, trialTime(topology, n), n}
}

// atOnce limits the concurrent runs, each of which has many processes.
const atOnce = 2

const trials = 8 // of a mutation, until one detects it; on a busy machine a run does a small part of the work

// Each text that a mutation replaces occurs once in the library. TestMutations shows the same, but takes minutes.
func TestMutationsApply(t *testing.T) {
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) { edited(t, m.edits) })
	}
}

// A run must detect each mutation, and the unchanged library must pass the same runs.
func TestMutations(t *testing.T) {
	if testing.Short() || redistest.RaceDetector {
		t.Skip("takes minutes; the race detector sees as much in TestChaos")
	}
	slots := make(chan struct{}, atOnce)
	unchanged := build(t, nil)
	workloads := make(map[trial]bool)
	for _, m := range mutations {
		workloads[m.trial(1)] = true
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			m.find(t)
		})
	}
	for w := range maps.Keys(workloads) {
		t.Run("unchanged/"+w.mode+"/"+strings.ReplaceAll(w.focus, " ", "_"), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			if violated, output := unchanged.try(t, w); len(violated) > 0 {
				t.Errorf("violations of %v without a mutation:\n%s", violated, output)
			}
		})
	}
}

// trialTime returns the duration of the nth trial. It is longer for a topology whose faults take seconds.
func trialTime(topology string, n int) time.Duration {
	if topology != string(chaos.Single) {
		n++
	}
	return time.Duration(1+2*n) * time.Second
}

// find fails the test if no trial detects the mutation.
func (m mutation) find(t *testing.T) {
	mutant := build(t, m.edits)
	var output string
	for n := 1; n <= trials && !t.Failed(); n++ {
		var violated []string
		start := time.Now()
		violated, output = mutant.try(t, m.trial(n))
		t.Logf("seed %d, %.1f s: violations of %v, want %v", n, time.Since(start).Seconds(), violated, m.breaks)
		if slices.ContainsFunc(m.breaks, func(g string) bool { return slices.Contains(violated, g) }) {
			return
		}
	}
	t.Errorf("no run detected it:\n%s", output)
}
