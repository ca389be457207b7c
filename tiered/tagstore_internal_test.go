package tiered

import (
	"context"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

const anEra = "era-of-8"

// The parsed content of a tag's record. Any other bytes count as no record.
func TestParseTagRecord(t *testing.T) {
	for value, want := range map[string]tagReply{
		anEra + "7":                    {count: 7, known: true},
		anEra + "7~9":                  {count: 7, expiry: 9, known: true},
		anEra + "18446744073709551615": {count: 1<<64 - 1, known: true},
		anEra + "18446744073709551616": {},
		anEra + "7~":                   {},
		anEra + "~9":                   {},
		anEra + "7~9~9":                {},
		anEra + "7~-9":                 {},
		anEra + "7 9":                  {},
		anEra + "?token":               {},
		anEra:                          {},
		"short":                        {},
		"":                             {},
	} {
		var e tagReply
		e.parse("an older value")
		e.parse(anEra + "1~2")
		e.parse(value)
		if e.known != want.known || e.count != want.count || e.expiry != want.expiry || e.known && string(e.era[:]) != anEra {
			t.Errorf("%q: %+v", value, e)
		}
	}
}

// The parsed content of the keys of the epoch and of the count.
func TestParseEra(t *testing.T) {
	for _, c := range []struct {
		era, count string
		want       epochReply
		ok         bool
	}{
		{anEra, "12", epochReply{count: 12}, true},
		{anEra + "7", "12", epochReply{expiry: 7, count: 12}, true},
		{anEra + "~", "12", epochReply{}, false},
		{anEra + "-7", "12", epochReply{}, false},
		{anEra, "", epochReply{}, false},
		{"short", "12", epochReply{}, false},
	} {
		var o epochReply
		if err := o.parse(c.era, c.count); (err == nil) != c.ok || c.ok && (o.expiry != c.want.expiry || o.count != c.want.count || string(o.era[:]) != anEra) {
			t.Errorf("%q, %q: %+v, %v", c.era, c.count, o, err)
		}
	}
}

// After an expiry or an invalidation a value is never more valid than before, nor than the change allows, whatever the record.
func TestMarking(t *testing.T) {
	s := redistest.Start(t)
	client := s.Client(t)
	const kept = "" // as it was
	for _, c := range []struct {
		record               string
		invalidated, expired string // at 5
	}{
		{anEra + "3", anEra + "5", anEra + "3~5"},
		{anEra + "5", kept, kept},
		{anEra + "7", kept, kept},
		{anEra + "3~4", anEra + "5", anEra + "3~5"},
		{anEra + "3~5", anEra + "5", kept},
		{anEra + "3~7", anEra + "5~7", kept},
		{anEra + "6~7", kept, kept},
		{anEra + "?token", anEra + "5", anEra + "5"},
		{anEra + "3~", anEra + "5", anEra + "5"},
		{anEra + "-3", anEra + "5", anEra + "5"},
		{anEra, anEra + "5", anEra + "5"},
		{"another 3", kept, kept},
		{"3", kept, kept},
	} {
		for expire, want := range map[bool]string{false: c.invalidated, true: c.expired} {
			if want == kept {
				want = c.record
			}
			s.Do("SET", "k", c.record, "PX", 1_000_000)
			if err := client.Eval(t.Context(), marking, []string{"k"}, anEra, "5", expire).Err(); err != nil {
				t.Fatal(err)
			}
			if got := s.Do("GET", "k"); got != want {
				t.Errorf("%q, expire %v: %q, want %q", c.record, expire, got, want)
			}
			if n, _ := s.Do("PTTL", "k").(int64); n <= 0 {
				t.Errorf("%q: it is kept for %d ms", c.record, n)
			}
		}
	}
	s.Do("DEL", "k")
	if err := client.Eval(t.Context(), marking, []string{"k"}, anEra, "5", true).Err(); err != nil || s.Do("EXISTS", "k") != int64(0) {
		t.Errorf("without a record: %v", err)
	}
}

// An expiry of everything changes nothing but its count, and a damaged epoch is a new one.
func TestOpeningExpires(t *testing.T) {
	s := redistest.Start(t)
	r, err := NewRedis(s.Client(t), RedisOptions{Invalidation: None})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := newTagStore(r.conn, "test", new(counters).countErrors)
	open := func(ctx context.Context, step int, expire bool) epochReply {
		t.Helper()
		o, err := l.open(ctx, step, expire)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	first := open(t.Context(), 0, false)
	expired := open(t.Context(), 1, true)
	if expired.era != first.era || expired.count != first.count+1 || expired.expiry != expired.count {
		t.Errorf("%+v after %+v", expired, first)
	}
	if again := open(t.Context(), 2, false); again.era != first.era || again.expiry != expired.expiry || again.count != expired.count+2 {
		t.Errorf("%+v after %+v", again, expired)
	}
	for _, damaged := range []string{anEra + "~7", anEra + "7x", anEra + strings.Repeat("7", 16), "short7"} {
		s.Do("SET", l.names.Epoch, damaged)
		if o := open(t.Context(), 0, false); string(o.era[:]) == anEra || o.expiry != 0 || o.count != 0 {
			t.Errorf("%q: %+v", damaged, o)
		}
		s.Do("SET", l.names.Epoch, damaged)
		if o := open(t.Context(), 1, true); string(o.era[:]) == anEra || o.expiry != 1 || o.count != 1 {
			t.Errorf("%q, expired: %+v", damaged, o)
		}
	}
}

// A value's stamps, compared with the current ones, determine its validity.
func TestValidity(t *testing.T) {
	id := coherence.EpochID{1}
	record := func(count, expiry uint64) *coherence.TagState {
		return &coherence.TagState{Epoch: id, Seq: count, Expiry: expiry}
	}
	for name, c := range map[string]struct {
		expiry  uint64 // of the epoch
		records []*coherence.TagState
		want    coherence.Status
	}{
		"nothing":                     {0, nil, coherence.Valid},
		"all before":                  {5, []*coherence.TagState{record(3, 5), record(5, 0)}, coherence.Valid},
		"the era expired":             {6, []*coherence.TagState{record(3, 0)}, coherence.Expired},
		"a tag expired":               {0, []*coherence.TagState{record(3, 0), record(3, 6)}, coherence.Expired},
		"a tag invalidated":           {0, []*coherence.TagState{record(6, 0)}, coherence.Invalid},
		"one expired, one invalid":    {6, []*coherence.TagState{record(3, 7), record(6, 0)}, coherence.Invalid},
		"a tag that isn't known":      {0, []*coherence.TagState{nil}, coherence.Invalid},
		"a tag's record of other era": {0, []*coherence.TagState{{Seq: 3}}, coherence.Invalid},
	} {
		m := coherence.Stamp{Epoch: id, Seq: 5}
		if got := m.Status(coherence.NewEpoch(id, c.expiry, coherence.Always), c.records); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if m := (coherence.Stamp{Epoch: coherence.EpochID{2}, Seq: 5}); m.Status(coherence.NewEpoch(id, 0, coherence.Always), nil) != coherence.Invalid {
		t.Error("another era's value is valid")
	}
}

// Whatever bytes are in a record or an epoch, their parsed content can be encoded again, and nothing panics.
func FuzzLedger(f *testing.F) {
	for _, seed := range []string{anEra, anEra + "7", anEra + "7~9", anEra + "?x", "short", anEra + "~", anEra + "07~+9"} {
		f.Add(seed, "12")
	}
	f.Fuzz(func(t *testing.T, value, count string) {
		var e tagReply
		e.parse(value)
		if e.known && (len(value) <= 8 || string(e.era[:]) != value[:8] || strings.Trim(value[8:], "0123456789~") != "") {
			t.Errorf("%q is %+v", value, e)
		}
		if !e.known && (e.count != 0 || e.expiry != 0) {
			t.Errorf("%q isn't known, and %+v", value, e)
		}
		var o epochReply
		if err := o.parse(value, count); err == nil && (len(value) < 8 || strings.Trim(value[8:]+count, "0123456789") != "") {
			t.Errorf("%q, %q: %+v", value, count, o)
		}
	})
}
