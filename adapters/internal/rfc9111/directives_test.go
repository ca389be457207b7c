package rfc9111_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9111 §5.2.1, §5.4.
func TestParseDirectives(t *testing.T) {
	const unsaid = -1
	for _, tc := range []struct {
		name    string
		request http.Header
		want    rfc9111.Directives
	}{
		{"nothing", nil, rfc9111.Directives{MaxAge: unsaid}},
		{"§5.2.1.1 max-age", fields("Cache-Control", "max-age=60"), rfc9111.Directives{MaxAge: time.Minute}},
		{"§5.2.1.1 max-age=0", fields("Cache-Control", "max-age=0"), rfc9111.Directives{}},
		{"§4.2.1 invalid max-age", fields("Cache-Control", "max-age=x"), rfc9111.Directives{}},
		{"§4.2.1 the first counts", fields("Cache-Control", "max-age=60, max-age=0"), rfc9111.Directives{MaxAge: time.Minute}},
		{"§5.2.1.2 max-stale", fields("Cache-Control", "max-stale=60"), rfc9111.Directives{MaxAge: unsaid, MaxStale: time.Minute}},
		{"§5.2.1.2 max-stale without a value", fields("Cache-Control", "max-stale"), rfc9111.Directives{MaxAge: unsaid, MaxStale: math.MaxInt64}},
		{"invalid max-stale", fields("Cache-Control", "max-stale=x"), rfc9111.Directives{MaxAge: unsaid}},
		{"§5.2.1.3 min-fresh", fields("Cache-Control", "min-fresh=60"), rfc9111.Directives{MaxAge: unsaid, MinFresh: time.Minute}},
		{"invalid min-fresh", fields("Cache-Control", "min-fresh=-1"), rfc9111.Directives{MaxAge: unsaid}},
		{"§5.2.1.4 no-cache", fields("Cache-Control", "No-Cache"), rfc9111.Directives{MaxAge: unsaid, NoCache: true}},
		{"§5.2.1.5 no-store", fields("Cache-Control", "no-store"), rfc9111.Directives{MaxAge: unsaid, NoStore: true}},
		{"§5.2.1.7 only-if-cached", fields("Cache-Control", "only-if-cached"), rfc9111.Directives{MaxAge: unsaid, OnlyIfCached: true}},
		{"all of them, in lines", fields("Cache-Control", "no-cache, no-store", "Cache-Control", `only-if-cached,max-age="5"`,
			"Cache-Control", "max-stale=6, min-fresh=7, x=8"), rfc9111.Directives{NoCache: true, NoStore: true, OnlyIfCached: true,
			MaxAge: 5 * time.Second, MaxStale: 6 * time.Second, MinFresh: 7 * time.Second}},
		{"§5.4 Pragma", fields("Pragma", "x, No-Cache"), rfc9111.Directives{MaxAge: unsaid, NoCache: true}},
		{"§5.4 Pragma beside Cache-Control", fields("Pragma", "no-cache", "Cache-Control", "max-age=60"), rfc9111.Directives{MaxAge: time.Minute}},
		{"§5.4 another Pragma", fields("Pragma", "no-store"), rfc9111.Directives{MaxAge: unsaid}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := rfc9111.ParseDirectives(tc.request); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

// What each hit asks costs no memory but the key.
func TestHitAllocates(t *testing.T) {
	request := fields("Accept", "*/*", "Cache-Control", `max-age=60, min-fresh="5"`, "X-Any", "1, 2", "Accept-Encoding", "gzip, br;q=0.5")
	bare := fields("Accept", "*/*")
	names := []string{"Accept-Encoding", "X-Absent", "X-Any"}
	var terms rfc9111.Terms
	var decision rfc9111.Decision
	for name, tc := range map[string]struct {
		most float64
		ask  func()
	}{
		"ParseDirectives":          {0, func() { rfc9111.ParseDirectives(request) }},
		"ParseDirectives, unsaid":  {0, func() { rfc9111.ParseDirectives(bare) }},
		"RelevantOf":               {0, func() { rfc9111.RelevantOf(request) }},
		"Decide":                   {0, func() { decision = rfc9111.Decide(terms, 1, rfc9111.Directives{}) }},
		"Selecting, nothing":       {0, func() { rfc9111.Selecting(nil, request) }},
		"Selecting":                {1, func() { rfc9111.Selecting(names, request) }},
		"Selecting, absent fields": {1, func() { rfc9111.Selecting(names, bare) }},
		"Encoding":                 {0, func() { rfc9111.Encoding(request["Accept-Encoding"], []string{"zstd", "br"}) }},
		"ParseRange":               {0, func() { rfc9111.ParseRange([]string{"bytes=0-1"}, 5) }},
	} {
		if got := testing.AllocsPerRun(100, tc.ask); got > tc.most {
			t.Errorf("%s allocates %v times, want %v", name, got, tc.most)
		}
	}
	_ = decision
}
