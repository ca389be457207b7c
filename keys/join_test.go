package keys_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/keys"
)

func TestJoin(t *testing.T) {
	cases := []struct {
		parts []string
		want  string
	}{
		{nil, "%"},
		{[]string{""}, ""},
		{[]string{"", ""}, ":"},
		{[]string{"", "", ""}, "::"},
		{[]string{"user", "42"}, "user:42"},
		{[]string{"a", ""}, "a:"},
		{[]string{"", "a"}, ":a"},
		{[]string{"a:b", "c"}, "a%3Ab:c"},
		{[]string{"a", "b:c"}, "a:b%3Ac"},
		{[]string{"a", "b", "c"}, "a:b:c"},
		{[]string{"%"}, "%25"},
		{[]string{"a%3Ab"}, "a%253Ab"},
		{[]string{"100%:", "é\x00"}, "100%25%3A:é\x00"},
	}
	for _, c := range cases {
		if got := keys.Join(c.parts...); got != c.want {
			t.Errorf("Join(%q) = %q, want %q", c.parts, got, c.want)
		}
	}
}

// split undoes Join.
func split(key string) []string {
	if key == "%" {
		return nil
	}
	parts := strings.Split(key, ":")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "%3A", ":"), "%25", "%")
	}
	return parts
}

func FuzzJoin(f *testing.F) {
	f.Add("user\n42", true)
	f.Add("a:b\nc\n\n%\n%3A\n%253A", false)
	f.Fuzz(func(t *testing.T, lines string, none bool) {
		parts := strings.Split(lines, "\n")
		if none {
			parts = parts[:0]
		}
		if got := split(keys.Join(parts...)); !slices.Equal(got, parts) {
			t.Errorf("Join(%q) = %q, which is %q", parts, keys.Join(parts...), got)
		}
	})
}

func BenchmarkJoin(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		keys.Join("users", "by-email", "someone@example.com")
	}
}
