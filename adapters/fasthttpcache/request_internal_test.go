package fasthttpcache

import (
	"net/url"
	"strings"
	"testing"
)

// What isn't left to url.ParseRequestURI has the same result.
func FuzzParseTarget(f *testing.F) {
	for _, target := range []string{
		"/", "/a/b?c=d", "/a?", "/a??", "/a?b?c", "//host/a", "///a", "/a%20b", "/a|b", "/a:b", "/a?b\x7f", "/a\x00", "*", "", "/a#b?c#d", "/a;b", "a/b",
	} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, query, _ := strings.Cut(target, "?")
		if query == "" {
			target = path // as the caller has it
		}
		var got url.URL
		err := parseTarget(&got, target, len(path))
		want, wantErr := url.ParseRequestURI(target)
		if (err == nil) != (wantErr == nil) || err == nil && got != *want {
			t.Errorf("%q: %+v, %v, want %+v, %v", target, got, err, want, wantErr)
		}
	})
}
