package rfc9111_test

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// RFC 9211 §2.
func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		status rfc9111.Status
		want   string
	}{
		{rfc9111.Status{Cache: "http", Hit: true, TTL: 376*time.Second + 999*time.Millisecond}, "http; hit; ttl=376"},
		{rfc9111.Status{Cache: "http", Hit: true, TTL: -3 * time.Second}, "http; hit; ttl=-3"},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForMiss}, "http; fwd=uri-miss"},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForMiss, Stored: true}, "http; fwd=uri-miss; stored"},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForMiss, Collapsed: true}, "http; fwd=uri-miss; collapsed"},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForBypass}, "http; fwd=bypass"},
		{rfc9111.Status{Cache: "a/b.c-1", Forward: rfc9111.ForMethod}, "a/b.c-1; fwd=method"},
		{rfc9111.Status{Cache: "2nd", Forward: rfc9111.ForRequest}, `"2nd"; fwd=request`},
		{rfc9111.Status{Cache: `CDN "x" \é`, Hit: true}, `"CDN \"x\" \\?"; hit; ttl=0`},
		{rfc9111.Status{}, `""`},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForVaryMiss, FwdStatus: 304, Stored: true, Collapsed: true, Detail: "x"},
			"http; fwd=vary-miss; fwd-status=304; stored; collapsed; detail=x"},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForStale, FwdStatus: 503, Detail: "stale if error"},
			`http; fwd=stale; fwd-status=503; detail="stale if error"`},
		{rfc9111.Status{Cache: "http", Forward: rfc9111.ForPartial}, "http; fwd=partial"},
		{rfc9111.Status{Cache: "http", Hit: true, TTL: -12 * time.Second, Detail: "max-stale"}, "http; hit; ttl=-12; detail=max-stale"},
		{rfc9111.Status{Cache: "http", Hit: true, FwdStatus: 200, Stored: true}, "http; hit; ttl=0"},
	} {
		if got := tc.status.String(); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.status, got, tc.want)
		}
	}
}
