package rfc9111_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// What anybody can send, up to the megabyte that net/http lets through, must not cost more than it is long: each of these
// takes milliseconds, and would take a minute if each of its parts were looked at up to the end.
func TestLongValues(t *testing.T) {
	for _, unit := range []string{`"`, `\"`, `"\`, `"\",`, `\",`, `="\"`, `="`, `="\,`, ",", ", ", ";", "=", "(", "(1 ", "a=(", "a;", "a,", "W/", `"a",`, `W/"`, "*", "0-1,", "q=", ";q=0,", " "} {
		value := `"` + strings.Repeat(unit, 1<<18/len(unit))
		for _, value := range []string{value, "a=" + value[1:]} {
			began := time.Now()
			h := http.Header{}
			for _, name := range []string{"Accept", "Accept-Language", "Cache-Control", "Cdn-Cache-Control", "Content-Range", "Etag", "If-None-Match",
				"If-Range", "Pragma", "Range", "Age", "Expires", "Date", "Last-Modified", "Vary", "Cache-Tag", "Surrogate-Key", "X-Any"} {
				h[name] = []string{value}
			}
			rfc9111.ParseDirectives(h)
			rfc9111.TermsOf(200, h, noon, rfc9111.Defaults{Heuristic: true})
			rfc9111.Storable(h, 206, h, rfc9111.Rules{})
			rfc9111.Stored(h, rfc9111.Shared)
			rfc9111.Vary(h)
			rfc9111.Selecting([]string{"Accept", "X-Any"}, h)
			rfc9111.Encoding(h["Accept"], []string{"gzip"})
			rfc9111.FirstLanguage(h)
			rfc9111.ParseRange(h["Range"], 10)
			rfc9111.NotModified(h, rfc9111.Validators{ETag: `"b"`})
			rfc9111.Validates(rfc9111.Validators{ETag: `"b"`}, h)
			rfc9111.RangeApplies(h, rfc9111.Validators{ETag: value, LastModified: value})
			rfc9111.Tags(h)
			rfc9111.InitialAge(h, noon, noon.Add(time.Second))
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("%q, many times: %v", unit, took)
			}
		}
	}
}
