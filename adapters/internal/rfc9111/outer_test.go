package rfc9111_test

import (
	"slices"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

func TestMerged(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		around, stored, want []string
	}{
		{"Vary", nil, []string{"A"}, []string{"A"}},
		{"Vary", []string{"Cookie"}, nil, nil},
		{"Vary", []string{"Cookie"}, []string{"Accept, Origin"}, []string{"Cookie", "Accept, Origin"}},
		{"Vary", []string{"Cookie, accept"}, []string{"Accept", "Origin"}, []string{"Cookie, accept", "Origin"}},
		{"Link", []string{"</a>"}, []string{"</a>", "</b>"}, []string{"</a>", "</b>"}},
		{"Server-Timing", []string{"outer"}, []string{"db;dur=1"}, []string{"outer", "db;dur=1"}},
		{"Set-Cookie", []string{"a=1"}, []string{"b=2"}, []string{"a=1", "b=2"}},
		{"Cache-Control", []string{"max-age=60"}, []string{"max-age=60"}, []string{"max-age=60"}},
		{"Cache-Control", []string{"max-age=10"}, []string{"max-age=60"}, []string{"max-age=10", "max-age=60"}},
		{"Cache-Control", []string{"max-age=100, public"}, []string{"max-age=60"}, []string{"max-age=60"}},
		{"Cache-Control", []string{"no-transform", "No-Store, private"}, []string{"max-age=60, private"}, []string{"no-transform, no-store", "max-age=60, private"}},
		{"Cache-Control", []string{`private="X-A"`}, []string{"max-age=60"}, []string{"max-age=60"}},
		{"Content-Language", []string{"de"}, []string{"fr"}, []string{"fr"}},
	} {
		around := slices.Clone(tc.around)
		if got := rfc9111.Merged(tc.name, tc.around, tc.stored); !slices.Equal(got, tc.want) || !slices.Equal(around, tc.around) {
			t.Errorf("%s: %q among %q: %q, want %q", tc.name, tc.stored, tc.around, got, tc.want)
		}
	}
}

func TestAdded(t *testing.T) {
	for _, tc := range []struct{ found, now, want []string }{
		{nil, []string{"a"}, nil},
		{[]string{"a"}, []string{"a"}, nil},
		{[]string{"a"}, []string{"b"}, nil},
		{[]string{"a"}, nil, nil},
		{[]string{"a"}, []string{"ab"}, nil},
		{[]string{"a"}, []string{"a", "b"}, []string{"b"}},
		{[]string{"a"}, []string{"a, b, c"}, []string{"b, c"}},
		{[]string{"a", "b"}, []string{"a", "b", "c"}, []string{"c"}},
		{[]string{"a", "b"}, []string{"a", "c", "b"}, nil},
	} {
		if got, ok := rfc9111.Added(tc.found, tc.now); !slices.Equal(got, tc.want) || ok != (tc.want != nil) {
			t.Errorf("%q became %q: %q, %v, want %q", tc.found, tc.now, got, ok, tc.want)
		}
	}
}

func TestForbids(t *testing.T) {
	for _, tc := range []struct {
		control, targeted string
		private, want     bool
	}{
		{"max-age=60, must-revalidate", "", false, false},
		{"private", "", false, true},
		{"private", "", true, false},
		{"no-store", "", true, true},
		{"no-cache", "", true, true},
		{`private="X-A", no-cache="X-B"`, "", false, false},
		{"private", "max-age=60", false, false}, // RFC 9213: the targeted one is for this cache
		{"max-age=60", "no-store", false, true},
	} {
		var targeted []string
		if tc.targeted != "" {
			targeted = []string{tc.targeted}
		}
		if got := rfc9111.Forbids([]string{tc.control}, targeted, tc.private); got != tc.want {
			t.Errorf("%q, %q, private %v: %v, want %v", tc.control, tc.targeted, tc.private, got, tc.want)
		}
	}
}
