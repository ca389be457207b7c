package wire

import (
	"bytes"
	"testing"
	"time"
)

// frames returns a frame of each schema from 1 to n, the last first, each of which replaced those before it in turn.
func frames(n int, created time.Time) (b []byte, newest Frame) {
	for schema := range n {
		f := Frame{
			ID: uint64(schema), Schema: uint64(schema + 1), Codec: "json", Created: created.Add(time.Duration(schema) * time.Second),
			FreshFor: time.Minute, Took: 100 * time.Millisecond, Payload: []byte{byte('a' + schema)},
		}
		f.KeepOthers(b, created)
		b, newest = f.append(nil), f
	}
	return b, newest
}

func TestFindFrame(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	b, newest := frames(3, created)
	for schema := range uint64(5) {
		f, found, only, err := FindFrame(b, "json", schema)
		switch want := schema >= 1 && schema <= 3; {
		case err != nil || found != want || only:
			t.Errorf("schema %d: %v, only %v, %v", schema, found, only, err)
		case found && (f.Schema != schema || string(f.Payload) != string(rune('a'+schema-1))):
			t.Errorf("schema %d: %+v", schema, f)
		}
	}
	if _, found, _, err := FindFrame(b, "msgpack", 1); found || err != nil {
		t.Errorf("of another codec: %v, %v", found, err)
	}
	if parsed, err := ParseFrame(b); err != nil || !parsed.Began().Equal(created.Add(-100*time.Millisecond)) || !sameFrame(parsed, newest) {
		t.Errorf("the first load began at %v, %v", parsed.Began(), err)
	}
	if part, err := ParseFrameTimes(b[:60]); err != nil || !part.Began().Equal(created.Add(-100*time.Millisecond)) {
		t.Errorf("of a part, the first load began at %v, %v", part.Began(), err)
	}
	alone := vectors["schema"]
	if f, found, only, err := FindFrame(alone.append(nil), "json", alone.Schema); err != nil || !found || !only || !sameFrame(f, alone) {
		t.Errorf("alone: %+v, %v, %v, %v", f, found, only, err)
	}
	for _, bad := range [][]byte{nil, []byte("x"), b[:20], []byte(FrameMagic)} {
		if _, found, _, err := FindFrame(bad, "json", 1); found || err != ErrFrame {
			t.Errorf("%q: %v, %v", bad, found, err)
		}
	}
	for i := len(b) - len(newest.Others); i < len(b); i++ { // the others are damaged: they are missing
		for _, damaged := range [][]byte{b[:i], append(append(bytes.Clone(b[:i]), b[i]^1), b[i+1:]...)} {
			f, found, _, err := FindFrame(damaged, "json", 3)
			if err == nil && (!found || f.Schema != 3) || err != nil && i >= len(b)-len(newest.Others)+len(FrameMagic) {
				t.Errorf("damage at %d: %v, %v", i, found, err)
			}
			if f, found, _, _ := FindFrame(damaged, "json", 2); found && string(f.Payload) != "b" {
				t.Errorf("damage at %d: %+v", i, f)
			}
		}
	}
}

// An expiry marks the first frame, and ends all.
func TestExpiredForAllReleases(t *testing.T) {
	b, _ := frames(2, time.UnixMilli(1_700_000_000_000))
	b[ExpiredAt] = 7
	for schema := range uint64(2) {
		if f, found, _, err := FindFrame(b, "json", schema+1); err != nil || !found || !f.Expired {
			t.Errorf("%+v, %v", f, err)
		}
	}
	f := Frame{Schema: 2, Codec: "json", Created: time.UnixMilli(1_700_000_000_000), FreshFor: time.Minute}
	f.KeepOthers(b, f.Created)
	if other, found, _, err := FindFrame(f.append(nil), "json", 1); err != nil || !found || !other.Expired {
		t.Errorf("after a load of the other: %+v, %v", other, err)
	}
	if own, _, _, err := FindFrame(f.append(nil), "json", 2); err != nil || own.Expired {
		t.Errorf("a new value is expired: %+v, %v", own, err)
	}
}

func TestKeepOthers(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	b, _ := frames(9, created)
	n := 0
	for f, err := ParseFrame(b); err == nil; f, err = ParseFrame(f.Others) {
		n++
	}
	if n != 1+maxOthers {
		t.Errorf("%d frames", n)
	}
	b, _ = frames(3, created) // fresh until a minute later, and one and two seconds more
	for after, want := range map[time.Duration]struct {
		freshFor time.Duration
		others   string
	}{
		0:                {61 * time.Second, "ba"},
		time.Minute:      {time.Second, "b"},
		61 * time.Second: {0, ""},
		time.Hour:        {0, ""},
	} {
		f := Frame{Schema: 3, Codec: "json", Created: created, FreshFor: time.Minute}
		if got := f.KeepOthers(b, created.Add(after)); got != want.freshFor {
			t.Errorf("after %v: fresh for %v", after, got)
		}
		var kept []byte
		for o, err := ParseFrame(f.Others); err == nil; o, err = ParseFrame(o.Others) {
			kept = append(kept, o.Payload...)
		}
		if string(kept) != want.others || (len(kept) == 0) != f.Oldest.IsZero() {
			t.Errorf("after %v: kept %q, %v", after, kept, f.Oldest)
		}
	}
	f := Frame{Schema: 3, Codec: "json", Created: created, FreshFor: time.Minute}
	if f.KeepOthers([]byte("another program's"), created); f.Others != nil {
		t.Errorf("kept %q", f.Others)
	}
}

// A stale frame of another release is of use for as long as its writer says, or its windows.
func TestKeptOthers(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	for name, tc := range map[string]struct {
		f    Frame
		want time.Duration
	}{
		"no window":     {Frame{}, time.Minute},
		"its writer's":  {Frame{Kept: time.Hour}, time.Hour + time.Minute},
		"its own":       {Frame{Kept: time.Hour, Windows: &Windows{WhileRevalidate: time.Second}}, time.Minute + time.Second},
		"of an absence": {Frame{Kept: time.Hour, NotFound: true}, time.Minute},
	} {
		tc.f.Schema, tc.f.Codec, tc.f.Created, tc.f.FreshFor = 1, "json", created, time.Minute
		b := tc.f.append(nil)
		f := Frame{Schema: 2, Codec: "json"}
		if got := f.KeepOthers(b, created); got != tc.want || !bytes.Equal(f.Others, b) {
			t.Errorf("%s: %v, want %v; %q", name, got, tc.want, f.Others)
		}
		if f.KeepOthers(b, created.Add(tc.want)); f.Others != nil {
			t.Errorf("%s: kept after %v", name, tc.want)
		}
	}
}

// A frame is removed from those of other releases, wherever it is.
func TestRemoveFrame(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_000)
	for _, expired := range []byte{0, 3} {
		b, _ := frames(3, created)
		b[ExpiredAt] = expired
		for schema, want := range map[uint64]string{1: "cb", 2: "ca", 3: "ba", 4: "cba"} {
			others, useful := RemoveFrame(b, "json", schema, 77, created)
			first, err := ParseFrame(others)
			began := created.Add(-100 * time.Millisecond)
			if schema == 1 {
				began = began.Add(time.Second)
			}
			if err != nil || first.ID != 77 || first.Expired != (expired != 0) || !first.Began().Equal(began) {
				t.Errorf("without %d: %+v, %v", schema, first, err)
			}
			if longest := time.Minute + time.Duration(want[0]-'a')*time.Second; useful != longest {
				t.Errorf("without %d: of use for %v, want %v", schema, useful, longest)
			}
			var left []byte
			for o := first; err == nil; o, err = ParseFrame(o.Others) {
				left = append(left, o.Payload...)
			}
			if string(left) != want {
				t.Errorf("without %d: %q, want %q", schema, left, want)
			}
		}
	}
	b, _ := frames(1, created)
	if others, useful := RemoveFrame(b, "json", 1, 77, created); others != nil || useful != 0 {
		t.Errorf("of a single frame is left %q, %v", others, useful)
	}
}

func FuzzVersions(f *testing.F) {
	b, _ := frames(3, time.UnixMilli(1_700_000_000_000))
	f.Add(b, uint64(2))
	for _, v := range vectors {
		f.Add(v.append(nil), uint64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, schema uint64) {
		found, ok, only, err := FindFrame(b, "json", schema)
		if ok && (found.Schema != schema || found.Codec != "json") || err != nil && ok || only && !ok {
			t.Errorf("%+v, %v, %v, %v", found, ok, only, err)
		}
		next := Frame{Schema: max(1, schema), Codec: "json", Created: time.UnixMilli(1_700_000_000_000), FreshFor: time.Minute}
		next.KeepOthers(b, next.Created)
		if _, ok, _, err := FindFrame(next.append(nil), "json", next.Schema); !ok || err != nil {
			t.Errorf("a frame before those of %q: %v, %v", b, ok, err)
		}
		if left, _ := RemoveFrame(b, "json", schema, 1, next.Created); left != nil {
			if _, ok, _, err := FindFrame(left, "json", schema); ok || err != nil {
				t.Errorf("%q without the schema %d: %v, %v", b, schema, ok, err)
			}
		}
	})
}
