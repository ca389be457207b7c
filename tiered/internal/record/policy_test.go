package record_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

func TestPolicy(t *testing.T) {
	const at = mono.Instant(time.Hour)
	for _, test := range []struct {
		name                     string
		p                        record.Policy
		value, absence, foreign  time.Duration
		inLocalTier, ofAnOldItem time.Duration
	}{
		{"TTL", record.Policy{TTL: time.Minute}, time.Minute, 0, time.Minute, time.Minute, time.Second},
		{"LocalTTL", record.Policy{TTL: time.Minute, LocalTTL: 10 * time.Second}, time.Minute, 0, 10 * time.Second, 10 * time.Second, time.Second},
		{"a negative LocalTTL", record.Policy{TTL: time.Minute, LocalTTL: -1}, time.Minute, 0, time.Minute, time.Minute, time.Second},
		{"NotFoundTTL", record.Policy{TTL: time.Minute, NotFoundTTL: time.Hour}, time.Minute, time.Hour, time.Minute, time.Minute, time.Second},
		{"less than a millisecond", record.Policy{TTL: 300, NotFoundTTL: 300}, 0, 0, 300, time.Minute, time.Second},
	} {
		if value, absence := test.p.FreshFor(false), test.p.FreshFor(true); value != test.value || absence != test.absence {
			t.Errorf("%s: a value is fresh for %v, want %v, an absence for %v, want %v", test.name, value, test.value, absence, test.absence)
		}
		if got := test.p.ForeignTTL(); got != test.foreign {
			t.Errorf("%s: another program's value is fresh for %v, want %v", test.name, got, test.foreign)
		}
		for freshFor, want := range map[time.Duration]time.Duration{time.Minute: test.inLocalTier, time.Second: test.ofAnOldItem} {
			if got := test.p.LocalUntil(at, at.Add(freshFor)).Since(at); got != want {
				t.Errorf("%s: the local tier keeps a value that is fresh for %v for %v, want %v", test.name, freshFor, got, want)
			}
		}
	}
}

func TestNewFor(t *testing.T) {
	p := record.Policy{TTL: time.Hour, NotFoundTTL: time.Minute, Windows: wire.Windows{RefreshAfter: 10 * time.Minute}}
	r := record.NewFor(&p, 7, false, time.Minute, coherence.Stamp{Seq: 3})
	if r.Value != 7 || r.Absent || r.Took != time.Minute || r.Early <= 0 || r.Seq != 3 || r.FreshUntil.Since(r.Created) != time.Hour || r.Windows != nil {
		t.Errorf("%+v, %+v", r, r.Meta)
	}
	if r := record.NewFor(&p, 0, true, 0, coherence.Stamp{}); !r.Absent || r.Took != 0 || r.FreshUntil.Since(r.Created) != time.Minute {
		t.Errorf("%+v, %+v", r, r.Meta)
	}
}
