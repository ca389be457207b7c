package rfc9111_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// Directives for shared caches mean nothing to a private one (RFC 9111 §5.2.2.7, §5.2.2.8, §5.2.2.10, RFC 9213).
func TestPrivate(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name     string
		response http.Header
		want     rfc9111.Terms
	}{
		{"§5.2.2.10 s-maxage", fields("Cache-Control", "s-maxage=100, max-age=5"), rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},
		{"§5.2.2.10 s-maxage alone", fields("Cache-Control", "s-maxage=100"), rfc9111.Terms{}},
		{"§5.2.2.8", fields("Cache-Control", "max-age=5, proxy-revalidate, stale-if-error=9"), rfc9111.Terms{Lifetime: 5 * s, Explicit: true, StaleIfError: 9 * s}},
		{"§5.2.2.2", fields("Cache-Control", "max-age=5, must-revalidate"), rfc9111.Terms{Lifetime: 5 * s, Explicit: true, MustRevalidate: true, Shared: true}},
		{"§5.2.2.4", fields("Cache-Control", "max-age=5, no-cache, private"), rfc9111.Terms{Lifetime: 5 * s, Explicit: true, NoCache: true}},
		{"RFC 9213", fields("Cache-Control", "max-age=5", "Cdn-Cache-Control", "max-age=100, no-cache"), rfc9111.Terms{Lifetime: 5 * s, Explicit: true}},
		{"RFC 9213 with Expires", fields("Expires", httpDate(noon.Add(7*s)), "Cdn-Cache-Control", "max-age=100"), rfc9111.Terms{Lifetime: 7 * s, Explicit: true}},
	} {
		if got := rfc9111.TermsOf(200, tc.response, noon, rfc9111.Defaults{Kind: rfc9111.Private}); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
	stored := rfc9111.Stored(fields("Cache-Control", `private="X-User", no-cache="X-Now"`), rfc9111.Private)
	if !stored("X-User") || stored("X-Now") {
		t.Error("§5.2.2.7: want fields that are for one user stored, and §5.2.2.4: not those that mustn't be used again")
	}
	rules := rfc9111.Rules{Private: true, Kind: rfc9111.Private}
	for _, tc := range []struct {
		control, targeted string
		ok                bool
	}{
		{"private, max-age=5", "", true}, {"max-age=5", "no-store", true}, {"no-store", "", false}, {"private, no-store", "", false},
		{"no-store", "max-age=5", false},
	} {
		response := fields("Cache-Control", tc.control, "Set-Cookie", "a=b")
		if tc.targeted != "" {
			response["Cdn-Cache-Control"] = []string{tc.targeted}
		}
		if ok, why := rfc9111.Storable(fields("Authorization", "a"), 200, response, rules); ok != tc.ok {
			t.Errorf("%q, %q: stored: %v, %s", tc.control, tc.targeted, ok, why)
		}
	}
}
