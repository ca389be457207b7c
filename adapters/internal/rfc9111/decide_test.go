package rfc9111_test

import (
	"math"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §4.2, §5.2.1, RFC 5861. The response is fresh for 10 s.
func TestDecide(t *testing.T) {
	const s = time.Second
	plain := rfc9111.Terms{Lifetime: 10 * s}
	lenient := rfc9111.Terms{Lifetime: 10 * s, StaleWhileRevalidate: 5 * s, StaleIfError: 20 * s}
	strict := rfc9111.Terms{Lifetime: 10 * s, MustRevalidate: true}
	noCache := rfc9111.Terms{Lifetime: 10 * s, NoCache: true}
	none := rfc9111.Directives{MaxAge: -1}
	maxAge := func(d time.Duration) rfc9111.Directives { return rfc9111.Directives{MaxAge: d} }
	minFresh := func(d time.Duration) rfc9111.Directives { return rfc9111.Directives{MaxAge: -1, MinFresh: d} }
	maxStale := func(d time.Duration) rfc9111.Directives { return rfc9111.Directives{MaxAge: -1, MaxStale: d} }
	for _, tc := range []struct {
		name    string
		terms   rfc9111.Terms
		age     time.Duration
		request rfc9111.Directives
		want    rfc9111.Decision
	}{
		{"§4.2 fresh", plain, 10*s - 1, none, rfc9111.Serve},
		{"§4.2 stale", plain, 10 * s, none, rfc9111.Validate},
		{"never fresh", rfc9111.Terms{}, 0, none, rfc9111.Validate},
		{"as old as can be", plain, math.MaxInt64, minFresh(1 << 31 * s), rfc9111.Validate},
		{"§5.2.2.4 no-cache", noCache, 0, none, rfc9111.Validate},
		{"§5.2.2.4 no-cache before max-stale", noCache, 11 * s, maxStale(time.Hour), rfc9111.Validate},
		{"§5.2.2.2 fresh with must-revalidate", strict, 9 * s, none, rfc9111.Serve},
		{"§5.2.2.2 must-revalidate", strict, 10 * s, none, rfc9111.Validate},
		{"§5.2.2.2 must-revalidate before max-stale", strict, 11 * s, maxStale(time.Hour), rfc9111.Validate},
		{"§5.2.2.2 must-revalidate before all", rfc9111.Terms{Lifetime: 10 * s, MustRevalidate: true, StaleIfError: s * 9, StaleWhileRevalidate: s * 9},
			10 * s, none, rfc9111.Validate},

		{"RFC 5861 §3 stale-while-revalidate", lenient, 10 * s, none, rfc9111.ServeAndRefresh},
		{"RFC 5861 §3 up to its end", lenient, 15*s - 1, none, rfc9111.ServeAndRefresh},
		{"RFC 5861 §4 stale-if-error", lenient, 15 * s, none, rfc9111.ValidateOrStale},
		{"RFC 5861 §4 up to its end", lenient, 30*s - 1, none, rfc9111.ValidateOrStale},
		{"RFC 5861 past both", lenient, 30 * s, none, rfc9111.Validate},

		{"§5.2.1.4 no-cache", lenient, 1 * s, rfc9111.Directives{MaxAge: -1, NoCache: true}, rfc9111.Validate},
		{"§5.2.1.4 no-cache before max-stale", lenient, 11 * s, rfc9111.Directives{MaxAge: -1, NoCache: true, MaxStale: time.Hour}, rfc9111.Validate},

		{"§5.2.1.1 max-age", lenient, 5 * s, maxAge(5 * s), rfc9111.Serve},
		{"§5.2.1.1 too old", lenient, 5*s + 1, maxAge(5 * s), rfc9111.Validate},
		{"§5.2.1.1 max-age=0", lenient, 0, maxAge(0), rfc9111.Validate},
		{"§5.2.1.1 max-age takes nothing stale", lenient, 11 * s, maxAge(time.Hour), rfc9111.Validate},
		{"§5.2.1.1 but with max-stale", lenient, 11 * s, rfc9111.Directives{MaxAge: time.Hour, MaxStale: 1 * s}, rfc9111.Serve},
		{"§5.2.1.1 only so much", lenient, 12 * s, rfc9111.Directives{MaxAge: time.Hour, MaxStale: 1 * s}, rfc9111.Validate},
		{"§5.2.1.1 and so old", lenient, 11 * s, rfc9111.Directives{MaxAge: 9 * s, MaxStale: time.Hour}, rfc9111.Validate},

		{"§5.2.1.2 max-stale", plain, 15 * s, maxStale(5 * s), rfc9111.Serve},
		{"§5.2.1.2 too stale", plain, 15*s + 1, maxStale(5 * s), rfc9111.Validate},
		{"§5.2.1.2 without a value", plain, math.MaxInt64, maxStale(math.MaxInt64), rfc9111.Serve},
		{"§5.2.1.2 what may be refreshed is", lenient, 11 * s, maxStale(5 * s), rfc9111.ServeAndRefresh},
		{"§5.2.1.2 past stale-while-revalidate", lenient, 16 * s, maxStale(9 * s), rfc9111.Serve},
		{"§5.2.1.2 max-stale forbids nothing", lenient, 14 * s, maxStale(1 * s), rfc9111.ServeAndRefresh},

		{"§5.2.1.3 min-fresh", lenient, 5 * s, minFresh(5 * s), rfc9111.Serve},
		{"§5.2.1.3 too little is left", plain, 5*s + 1, minFresh(5 * s), rfc9111.Validate},
		{"§5.2.1.3 stale-if-error", lenient, 5*s + 1, minFresh(5 * s), rfc9111.ValidateOrStale},
		{"§5.2.1.3 min-fresh takes nothing stale", lenient, 11 * s, minFresh(1 * s), rfc9111.ValidateOrStale},
		{"§5.2.1.3 even with max-stale", plain, 11 * s, rfc9111.Directives{MaxAge: -1, MinFresh: 1 * s, MaxStale: time.Hour}, rfc9111.Validate},
		{"§5.2.1.3 of what must be validated", strict, 9 * s, minFresh(5 * s), rfc9111.Validate},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.Decide(tc.terms, tc.age, tc.request); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// RFC 5861 §4.
func TestOriginFailed(t *testing.T) {
	for status := 100; status < 700; status++ {
		want := status == 500 || status == 502 || status == 503 || status == 504
		if got := rfc9111.OriginFailed(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}
