package record_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// madeAtZero returns a record that was created at 0 and is fresh for 100 s.
func madeAtZero(m record.Meta) *record.Record[int] {
	return &record.Record[int]{FreshUntil: mono.Instant(100 * time.Second), Meta: &m}
}

func TestUse(t *testing.T) {
	all := wire.Windows{RefreshAfter: 50 * time.Second, WhileRevalidate: 10 * time.Second, IfError: 20 * time.Second}
	errorFirst := wire.Windows{WhileRevalidate: 20 * time.Second, IfError: 10 * time.Second}
	revalidate := wire.Windows{WhileRevalidate: time.Hour}
	none := wire.Windows{}
	var (
		plain     = madeAtZero(record.Meta{})
		absent    = madeAtZero(record.Meta{Absent: true})
		gone      = madeAtZero(record.Meta{Absent: true, Expired: true})
		expired   = madeAtZero(record.Meta{Expired: true})
		early     = madeAtZero(record.Meta{Early: 20 * time.Second})
		veryEarly = madeAtZero(record.Meta{Early: time.Hour})
		own       = madeAtZero(record.Meta{Windows: &wire.Windows{RefreshAfter: 10 * time.Second, WhileRevalidate: time.Second}})
		ownNone   = madeAtZero(record.Meta{Windows: &none})
		ownAbsent = madeAtZero(record.Meta{Absent: true, Windows: &all})
	)
	for _, tc := range []struct {
		name string
		r    *record.Record[int]
		w    wire.Windows
		at   time.Duration // seconds
		want record.Use
	}{
		{"before it was created", plain, all, -1, record.Good},
		{"new", plain, all, 0, record.Good},
		{"fresh", plain, all, 49, record.Good},
		{"due", plain, all, 50, record.RefreshDue},
		{"still due", plain, all, 99, record.RefreshDue},
		{"stale", plain, all, 100, record.WhileRevalidate},
		{"still stale", plain, all, 109, record.WhileRevalidate},
		{"a fallback", plain, all, 110, record.IfError},
		{"still a fallback", plain, all, 119, record.IfError},
		{"too old", plain, all, 120, record.Unusable},
		{"no windows", plain, none, 99, record.Good},
		{"no windows, stale", plain, none, 100, record.Unusable},
		{"StaleWhileRevalidate is longer than StaleIfError", plain, errorFirst, 119, record.WhileRevalidate},
		{"too old for that", plain, errorFirst, 120, record.Unusable},
		{"due early", early, all, 30, record.RefreshDue},
		{"not due yet", early, all, 29, record.Good},
		{"never due before half of RefreshAfter", veryEarly, all, 24, record.Good},
		{"due from half of RefreshAfter on", veryEarly, all, 25, record.RefreshDue},
		{"early without RefreshAfter", veryEarly, errorFirst, 99, record.Good},
		{"absent", absent, all, 99, record.Good},
		{"absent, stale", absent, all, 100, record.Unusable},
		{"absent, expired", gone, all, 1, record.Unusable},
		{"absent, with windows of its own", ownAbsent, none, 99, record.Good},
		{"expired before its TTL", expired, all, 1, record.IfError},
		{"expired, its TTL just over", expired, all, 100, record.IfError},
		{"expired, too old", expired, all, 120, record.Unusable},
		{"expired without StaleIfError", expired, revalidate, 1, record.Unusable},
		{"its own RefreshAfter", own, none, 10, record.RefreshDue},
		{"its own StaleWhileRevalidate", own, none, 100, record.WhileRevalidate},
		{"its own StaleIfError, which is 0", own, all, 101, record.Unusable},
		{"none of its own, fresh", ownNone, all, 99, record.Good},
		{"none of its own, stale", ownNone, all, 100, record.Unusable},
	} {
		if got := tc.r.Use(&tc.w, mono.Instant(tc.at*time.Second)); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

// A record that Use calls fresh isn't stale, and the other way round.
func TestUseAgreesWithStale(t *testing.T) {
	w := wire.Windows{RefreshAfter: 50 * time.Second, WhileRevalidate: 10 * time.Second, IfError: 20 * time.Second}
	for _, m := range []record.Meta{{}, {Absent: true}, {Expired: true}, {Absent: true, Expired: true}, {Early: time.Minute}} {
		r := madeAtZero(m)
		for s := range time.Duration(200) {
			at := mono.Instant(s * time.Second)
			if fresh := r.Use(&w, at) >= record.RefreshDue; fresh == r.Stale(at) {
				t.Errorf("%+v at %d s: fresh %v, stale %v", m, s, fresh, r.Stale(at))
			}
		}
	}
}
