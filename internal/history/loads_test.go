package history_test

import (
	"fmt"
	"testing"

	"github.com/tiercache/tiercache/internal/history"
)

func TestOneLoad(t *testing.T) {
	t.Parallel()
	const slack, delta, lease = 10, 100, 50
	type run struct {
		history.Record
		first, second history.Op
	}
	write := func(kind history.Kind, key string, start, end int64) func(*run) {
		return func(r *run) {
			r.Ops = append(r.Ops, history.Op{ID: 9, Process: 3, Kind: kind, Key: key, Start: start, End: end})
		}
	}
	disturbed := func(start, end int64) func(*run) {
		return func(r *run) { r.Disturbed = []history.Window{{Process: 5, Start: start, End: end}} }
	}
	outdate := func(tags ...string) func(*run) { // one value after the other has a tag, and then "t" is invalidated
		return func(r *run) {
			for i, tag := range tags {
				at := int64(10 * i)
				r.Ops = append(r.Ops, history.Op{
					ID: int64(10 + i), Process: 3, Kind: history.Set, Key: "k", Tags: []string{tag}, Start: at, End: at + 1, OK: true,
				})
			}
			r.Ops = append(r.Ops, history.Op{ID: 9, Process: 3, Kind: history.InvalidateTags, Tags: []string{"t"}, Start: 1020, End: 1030})
		}
	}
	for _, c := range []struct {
		name string
		edit func(*run)
		want string
	}{
		{"overlap", func(*run) {}, "G4"},
		{"after it", func(r *run) { r.second.Start = 1200 }, ""},
		{"at its last moment", func(r *run) { r.second.Start = 1199 }, "G4"},
		{"another key", func(r *run) { r.second.Key = "l" }, ""},
		{"another release", func(r *run) { r.Releases = map[int]int{1: 1, 2: 2} }, ""},
		{"one release", func(r *run) { r.Releases = map[int]int{1: 2, 2: 2} }, "G4"},
		{"in one process", func(r *run) { r.second.Process = 1 }, "G4"},
		{"at the same time", func(r *run) { r.second.Start = 1000 }, "G4"},
		{"it failed", func(r *run) { r.first.OK = false }, "G4"},
		{"its end unseen, in its lease", func(r *run) { r.first.End, r.second.Start = 0, 1000+lease-1 }, "G4"},
		{"its end unseen, past its lease", func(r *run) { r.first.End, r.second.Start = 0, 1000+lease }, ""},
		{"a set", write(history.Set, "k", 1020, 1030), ""},
		{"a delete", write(history.Delete, "k", 1020, 1030), ""},
		{"an expire", write(history.Expire, "k", 1020, 1030), ""},
		{"a clear", write(history.Clear, "", 1020, 1030), ""},
		{"tags", write(history.InvalidateTags, "", 1020, 1030), "G4"},
		{"a tag of what is replaced", outdate("u", "t"), ""},
		{"a tag of what was replaced before", outdate("t", "u", "u", "u", "u", "u", "u", "u"), "G4"},
		{"a delete of another key", write(history.Delete, "l", 1020, 1030), "G4"},
		{"a delete before it", write(history.Delete, "k", 900, 1000-slack-1), "G4"},
		{"a delete just before it", write(history.Delete, "k", 900, 1000-slack), ""},
		{"a delete when the second began", write(history.Delete, "k", 1100, 1300), ""},
		{"a delete after the second began", write(history.Delete, "k", 1101, 1300), "G4"},
		{"a delete that never returned", write(history.Delete, "k", 900, 0), ""},
		{"a fault", disturbed(1020, 1030), ""},
		{"a fault long before", disturbed(0, 1000-delta-slack-1), "G4"},
		{"a fault before", disturbed(0, 1000-delta-slack), ""},
		{"a fault at the end", disturbed(1100+slack, 2000), ""},
		{"a fault later", disturbed(1100+slack+1, 2000), "G4"},
		{"a delete before it, after its batch was called", func(r *run) {
			r.first.Called = 900
			write(history.Delete, "k", 920, 930)(r)
		}, ""},
		{"a delete before the first, after the second's batch was called", func(r *run) {
			r.second.Called = 900
			write(history.Delete, "k", 920, 930)(r)
		}, ""},
		{"a delete before the batch", func(r *run) {
			r.second.Called = 931 + slack
			write(history.Delete, "k", 920, 930)(r)
		}, "G4"},
		{"beside another whose lease was lost in its batch", func(r *run) {
			other := r.first
			other.ID, other.Process, other.Start, other.Called = 8, 3, 1090, 900
			write(history.Delete, "k", 920, 930)(r)
			r.Ops = append(r.Ops, other)
		}, "G4"},
		{"a third that began meanwhile", func(r *run) {
			third := r.first
			third.ID, third.Start, third.End = 8, 1010, 1020
			r.Ops = append(r.Ops, third)
		}, "G4 G4"},
	} {
		load := history.Op{Kind: history.Load, Key: "k", OK: true}
		r := run{history.Record{Delta: delta, Slack: slack, Lease: lease}, load, load}
		r.first.ID, r.first.Process, r.first.Start, r.first.End = 1, 1, 1000, 1200
		r.second.ID, r.second.Process, r.second.Start, r.second.End = 2, 2, 1100, 1300
		c.edit(&r)
		r.Ops = append(r.Ops, r.second, r.first)
		sum := history.Check(&r.Record)
		if found(sum) != c.want {
			t.Errorf("%s: found %q, want %q\n%v", c.name, found(sum), c.want, sum)
		}
		if n := len(sum.Violations); n > 0 && (sum.Violations[n-1].Read.ID != 2 || sum.Violations[n-1].Write.ID != 1) {
			t.Errorf("%s: %v", c.name, sum)
		}
	}
}

func TestLoadsCounted(t *testing.T) {
	t.Parallel()
	r := &history.Record{}
	for i := range int64(4) {
		r.Ops = append(r.Ops, history.Op{ID: i, Kind: history.Load, Key: "k", Start: 10 * i, End: 10*i + 5, OK: true})
	}
	r.Ops = append(r.Ops, history.Op{ID: 4, Kind: history.Delete, Key: "k", Start: 16, End: 17})
	if sum := history.Check(r); fmt.Sprint(sum.Checks) != "map[G4:2]" || len(sum.Violations) > 0 {
		t.Error(sum)
	}
}
