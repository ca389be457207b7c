package coherence_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

func TestValidity(t *testing.T) {
	v := coherence.NewValidity(10)
	if !v.Holds(9) || v.Holds(10) || v.Until() != 10 {
		t.Error("it should hold until 10")
	}
	v.Extend(5)
	if v.Until() != 10 {
		t.Error("Extend made it shorter")
	}
	v.Extend(20)
	if !v.Holds(19) {
		t.Error("Extend had no effect")
	}
	v.End()
	v.Extend(30)
	if v.Holds(mono.Instant(-time.Hour)) || !v.Ended() {
		t.Error("Extend revived one that had ended")
	}
	if !coherence.Always.Holds(1<<62) || coherence.Never.Holds(-1<<62) {
		t.Error("Always and Never")
	}
}

func TestStatus(t *testing.T) {
	now, before := coherence.EpochID{1}, coherence.EpochID{2}
	epoch := func(expiry uint64) *coherence.Epoch { return coherence.NewEpoch(now, expiry, coherence.Always) }
	tag := func(seq, expiry uint64) *coherence.TagState {
		return &coherence.TagState{Epoch: now, Seq: seq, Expiry: expiry, Validity: coherence.Always}
	}
	for name, c := range map[string]struct {
		stamp coherence.Stamp
		epoch *coherence.Epoch
		tags  []*coherence.TagState
		want  coherence.Status
	}{
		"no tags":                       {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), nil, coherence.Valid},
		"an earlier epoch":              {coherence.Stamp{Epoch: before, Seq: 7}, epoch(0), nil, coherence.Invalid},
		"everything expired since":      {coherence.Stamp{Epoch: now, Seq: 7}, epoch(8), nil, coherence.Expired},
		"everything expired before":     {coherence.Stamp{Epoch: now, Seq: 7}, epoch(7), nil, coherence.Valid},
		"invalidated before":            {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), []*coherence.TagState{tag(7, 0)}, coherence.Valid},
		"invalidated since":             {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), []*coherence.TagState{tag(8, 0)}, coherence.Invalid},
		"expired since":                 {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), []*coherence.TagState{tag(0, 8)}, coherence.Expired},
		"one expired, one invalidated":  {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), []*coherence.TagState{tag(0, 8), tag(8, 0)}, coherence.Invalid},
		"an unknown tag":                {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), []*coherence.TagState{nil}, coherence.Invalid},
		"a tag's state of another time": {coherence.Stamp{Epoch: now, Seq: 7}, epoch(0), []*coherence.TagState{{Epoch: before}}, coherence.Invalid},
	} {
		if got := c.stamp.Status(c.epoch, c.tags); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
}

func TestDeps(t *testing.T) {
	e := coherence.NewEpoch(coherence.EpochID{1}, 0, coherence.Always)
	tag := &coherence.TagState{Validity: coherence.NewValidity(10)}
	d := coherence.Deps{Validity: coherence.NewValidity(20), Epoch: e, Tags: []*coherence.TagState{tag}}
	if !d.Valid(9) || d.Valid(10) || !d.Intact() {
		t.Error("valid until 10, as the tag's state is")
	}
	if _, ok := d.AfterExpiry(); ok {
		t.Error("nothing has expired")
	}
	next := &coherence.TagState{Validity: coherence.Always}
	tag.Latest = tag.Latest.Replace(next)
	tag.Dead.Store(true)
	if d.Valid(5) || d.Intact() {
		t.Error("valid though its tag has expired")
	}
	after, ok := d.AfterExpiry()
	if !ok || after.Tags[0] != next || d.Tags[0] != tag || after.Epoch != e {
		t.Errorf("after the expiry of the tag: %+v, %v", after, ok)
	}
	tag.Latest.Replace(nil)
	if _, ok := d.AfterExpiry(); ok {
		t.Error("a stale copy of what was invalidated")
	}
	e.Over.Store(true)
	if _, ok := (&coherence.Deps{Validity: coherence.Always, Epoch: e}).AfterExpiry(); ok {
		t.Error("a stale copy of what was cleared")
	}
}
