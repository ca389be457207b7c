package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §3, §4.2, §5.2.2, RFC 5861.
func TestTermsOf(t *testing.T) {
	const s = time.Second
	all := rfc9111.Defaults{TTL: time.Minute, Heuristic: true, StaleWhileRevalidate: 3 * s, StaleIfError: 4 * s}
	stale := rfc9111.Defaults{StaleWhileRevalidate: 3 * s, StaleIfError: 4 * s}
	old := httpDate(noon.Add(-10 * time.Hour))
	cc := func(value string) http.Header { return fields("Cache-Control", value) }
	for _, tc := range []struct {
		name     string
		status   int
		response http.Header
		defaults rfc9111.Defaults
		want     rfc9111.Terms
	}{
		{"nothing", 200, nil, rfc9111.Defaults{}, rfc9111.Terms{}},
		{"§4.2.1 max-age", 200, cc("max-age=5"), rfc9111.Defaults{}, rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},
		{"of any status code", 302, cc("max-age=5"), rfc9111.Defaults{}, rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},
		{"§5.2.2.4 no-cache", 200, cc("no-cache"), all, rfc9111.Terms{Explicit: true, NoCache: true}},
		{"§5.2.2.4 no-cache with max-age", 200, cc("max-age=5, no-cache"), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, NoCache: true}},
		{"§5.2.2.4 no-cache with fields", 200, cc(`max-age=5, no-cache="x"`), rfc9111.Defaults{}, rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},
		{"§5.2.2.4 both forms", 200, cc(`max-age=5, no-cache="x", no-cache`), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, NoCache: true}},
		{"§5.2.2.4 a token isn't fields", 200, cc("max-age=5, no-cache=true"), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, NoCache: true}},
		{"§5.2.2.4 nor is an empty list", 200, cc(`max-age=5, no-cache=" ,"`), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, NoCache: true}},
		{"§5.2.2.4 nor what can't be read", 200, cc(`max-age=5, no-cache="a b"`), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, NoCache: true}},
		{"§3 no-cache alone doesn't let a 302 be stored", 302, cc("no-cache"), all, rfc9111.Terms{NoCache: true}},

		{"§5.2.2.2 must-revalidate", 200, cc("max-age=5, must-revalidate, stale-if-error=9"), all,
			rfc9111.Terms{Lifetime: 5 * s, Explicit: true, MustRevalidate: true, Shared: true}},
		{"§5.2.2.8 proxy-revalidate", 200, cc("max-age=5, proxy-revalidate, stale-while-revalidate=9"), all,
			rfc9111.Terms{Lifetime: 5 * s, Explicit: true, MustRevalidate: true}},
		{"§5.2.2.10 s-maxage", 200, cc("s-maxage=5, stale-while-revalidate=9"), all,
			rfc9111.Terms{Lifetime: 5 * s, Explicit: true, MustRevalidate: true, Shared: true}},
		{"§5.2.2.9 public", 200, cc("max-age=5, public"), rfc9111.Defaults{}, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, Shared: true}},
		{"RFC 9213 §2.2 only the field for this cache counts", 200, fields("Cdn-Cache-Control", "max-age=5", "Cache-Control", "public, no-cache, must-revalidate"),
			rfc9111.Defaults{}, rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},

		{"RFC 5861 §3, §4", 200, cc("max-age=5, stale-while-revalidate=6, stale-if-error=7"), all,
			rfc9111.Terms{Lifetime: 5 * s, Explicit: true, StaleWhileRevalidate: 6 * s, StaleIfError: 7 * s}},
		{"RFC 5861 defaults", 200, cc("max-age=5"), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true, StaleWhileRevalidate: 3 * s, StaleIfError: 4 * s}},
		{"RFC 5861 0 isn't the default", 200, cc("max-age=5, stale-while-revalidate=0, stale-if-error=x"), all, rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},

		{"TTL", 200, nil, rfc9111.Defaults{TTL: time.Minute}, rfc9111.Terms{Lifetime: time.Minute}},
		{"TTL before a guess", 200, fields("Last-Modified", old), rfc9111.Defaults{TTL: time.Minute, Heuristic: true}, rfc9111.Terms{Lifetime: time.Minute}},
		{"TTL is for 200 only", 404, nil, all, rfc9111.Terms{StaleIfError: 4 * s}},
		{"TTL isn't for what says it is stale", 200, cc("max-age=0"), rfc9111.Defaults{TTL: time.Minute}, rfc9111.Terms{Explicit: true}},
		{"§5.3 nor for an invalid Expires", 200, fields("Expires", "0"), rfc9111.Defaults{TTL: time.Minute}, rfc9111.Terms{Explicit: true}},
		{"TTL with must-revalidate", 200, cc("must-revalidate"), rfc9111.Defaults{TTL: time.Minute},
			rfc9111.Terms{Lifetime: time.Minute, MustRevalidate: true, Shared: true}},

		{"§4.2.2 no guess unless asked for", 200, fields("Last-Modified", old), stale, rfc9111.Terms{StaleIfError: 4 * s}},
		{"§4.2.2 no guess with Expires", 200, fields("Last-Modified", old, "Expires", "0"), rfc9111.Defaults{Heuristic: true}, rfc9111.Terms{Explicit: true}},
		{"§5.4 Pragma says nothing in a response", 200, fields("Last-Modified", old, "Pragma", "no-cache"), rfc9111.Defaults{Heuristic: true},
			rfc9111.Terms{Lifetime: time.Hour}},
		{"§5.2.2.9 a guess with public", 599, fields("Last-Modified", old, "Cache-Control", "public"), rfc9111.Defaults{Heuristic: true},
			rfc9111.Terms{Lifetime: time.Hour, Shared: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.TermsOf(tc.status, tc.response, noon, tc.defaults); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

// RFC 9110 §15.1.
func TestHeuristicallyCacheable(t *testing.T) {
	may := map[int]bool{200: true, 203: true, 204: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 501: true}
	response := fields("Last-Modified", httpDate(noon.Add(-10*time.Hour)))
	for status := 200; status < 600; status++ {
		if got := rfc9111.TermsOf(status, response, noon, rfc9111.Defaults{Heuristic: true}).Lifetime > 0; got != may[status] {
			t.Errorf("%d: %v, want %v", status, got, may[status])
		}
	}
}
