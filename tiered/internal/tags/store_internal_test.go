package tags

import (
	"context"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/conntest"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

const anEra = "era-of-8"

// The parsed content of a tag's record. Any other bytes count as no record.
func TestParseTagRecord(t *testing.T) {
	for value, want := range map[string]tagReply{
		anEra + "7":                    {seq: 7, known: true},
		anEra + "7~9":                  {seq: 7, expiry: 9, known: true},
		anEra + "18446744073709551615": {seq: 1<<64 - 1, known: true},
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
		if e.known != want.known || e.seq != want.seq || e.expiry != want.expiry || e.known && string(e.epoch[:]) != anEra {
			t.Errorf("%q: %+v", value, e)
		}
	}
}

// The parsed content of the keys of the epoch and of the count.
func TestParseEpoch(t *testing.T) {
	for _, c := range []struct {
		era, count string
		want       epochState
		ok         bool
	}{
		{anEra, "12", epochState{seq: 12}, true},
		{anEra + "7", "12", epochState{expiry: 7, seq: 12}, true},
		{anEra + "~", "12", epochState{}, false},
		{anEra + "-7", "12", epochState{}, false},
		{anEra, "", epochState{}, false},
		{"short", "12", epochState{}, false},
	} {
		var o epochState
		if err := o.parse(c.era, c.count); (err == nil) != c.ok || c.ok && (o.expiry != c.want.expiry || o.seq != c.want.seq || string(o.epoch[:]) != anEra) {
			t.Errorf("%q, %q: %+v, %v", c.era, c.count, o, err)
		}
	}
}

// After an expiry or an invalidation a value is never more valid than before, nor than the change allows, whatever the record.
func TestInvalidateScript(t *testing.T) {
	t.Parallel()
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
			if err := client.Eval(t.Context(), invalidateScript, []string{"k"}, anEra, "5", expire).Err(); err != nil {
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
	if err := client.Eval(t.Context(), invalidateScript, []string{"k"}, anEra, "5", true).Err(); err != nil || s.Do("EXISTS", "k") != int64(0) {
		t.Errorf("without a record: %v", err)
	}
}

// An expiry of everything changes nothing but its count, and a damaged epoch is a new one.
func TestOpenExpires(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	store := NewStore(conntest.Open(t, s.Client(t)), "test", func([]redisconn.Reply) {})
	open := func(ctx context.Context, step int, expire bool) epochState {
		t.Helper()
		o, err := store.open(ctx, step, expire)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	first := open(t.Context(), 0, false)
	expired := open(t.Context(), 1, true)
	if expired.epoch != first.epoch || expired.seq != first.seq+1 || expired.expiry != expired.seq {
		t.Errorf("%+v after %+v", expired, first)
	}
	if again := open(t.Context(), 2, false); again.epoch != first.epoch || again.expiry != expired.expiry || again.seq != expired.seq+2 {
		t.Errorf("%+v after %+v", again, expired)
	}
	for _, damaged := range []string{anEra + "~7", anEra + "7x", anEra + strings.Repeat("7", 16), "short7"} {
		s.Do("SET", store.names.Epoch, damaged)
		if o := open(t.Context(), 0, false); string(o.epoch[:]) == anEra || o.expiry != 0 || o.seq != 0 {
			t.Errorf("%q: %+v", damaged, o)
		}
		s.Do("SET", store.names.Epoch, damaged)
		if o := open(t.Context(), 1, true); string(o.epoch[:]) == anEra || o.expiry != 1 || o.seq != 1 {
			t.Errorf("%q, expired: %+v", damaged, o)
		}
	}
}

// Whatever bytes are in a record or an epoch, their parsed content can be encoded again, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{anEra, anEra + "7", anEra + "7~9", anEra + "?x", "short", anEra + "~", anEra + "07~+9"} {
		f.Add(seed, "12")
	}
	f.Fuzz(func(t *testing.T, value, count string) {
		var e tagReply
		e.parse(value)
		if e.known && (len(value) <= 8 || string(e.epoch[:]) != value[:8] || strings.Trim(value[8:], "0123456789~") != "") {
			t.Errorf("%q is %+v", value, e)
		}
		if !e.known && (e.seq != 0 || e.expiry != 0) {
			t.Errorf("%q isn't known, and %+v", value, e)
		}
		var o epochState
		if err := o.parse(value, count); err == nil && (len(value) < 8 || strings.Trim(value[8:]+count, "0123456789") != "") {
			t.Errorf("%q, %q: %+v", value, count, o)
		}
	})
}
