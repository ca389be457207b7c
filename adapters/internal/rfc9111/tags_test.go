package rfc9111_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

func TestTags(t *testing.T) {
	many := func(n int, separator string) string {
		var list []string
		for i := range n {
			list = append(list, strconv.Itoa(i))
		}
		return strings.Join(list, separator)
	}
	for _, tc := range []struct {
		name     string
		response http.Header
		want     []string
		ok       bool
	}{
		{"none", nil, nil, true},
		{"empty", fields("Cache-Tag", " , ", "Surrogate-Key", "  "), nil, true},
		{"commas", fields("Cache-Tag", "a, b c ,,d", "Cache-Tag", "e"), []string{"a", "b c", "d", "e"}, true},
		{"spaces", fields("Surrogate-Key", " a  b,c ", "Surrogate-Key", "d"), []string{"a", "b,c", "d"}, true},
		{"each once", fields("Cache-Tag", "a,b,a", "Surrogate-Key", "b c"), []string{"a", "b", "c"}, true},
		{"case", fields("Cache-Tag", "a,A"), []string{"a", "A"}, true},
		{"as long as can be", fields("Cache-Tag", strings.Repeat("a", 256)), []string{strings.Repeat("a", 256)}, true},
		{"too long", fields("Cache-Tag", "b,"+strings.Repeat("a", 257)), nil, false},
		{"too many", fields("Cache-Tag", many(65, ",")), nil, false},
		{"too many of both", fields("Cache-Tag", many(64, ","), "Surrogate-Key", "x"), nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tags, ok := rfc9111.Tags(tc.response); !slices.Equal(tags, tc.want) || ok != tc.ok {
				t.Errorf("%q, %v, want %q, %v", tags, ok, tc.want, tc.ok)
			}
		})
	}
	if tags, ok := rfc9111.Tags(fields("Cache-Tag", many(64, ","), "Surrogate-Key", many(64, " "))); len(tags) != 64 || !ok {
		t.Errorf("64 tags: %d, %v", len(tags), ok)
	}
}

func FuzzTags(f *testing.F) {
	f.Add("a, b,,c", "a  b")
	f.Add(strings.Repeat("a", 300), strings.Repeat("a ", 100))
	f.Fuzz(func(t *testing.T, commas, spaces string) {
		tags, ok := rfc9111.Tags(http.Header{"Cache-Tag": {commas}, "Surrogate-Key": {spaces}})
		if !ok {
			if tags != nil || len(commas)+len(spaces) <= 64 {
				t.Errorf("%q, %q: not ok, %q", commas, spaces, tags)
			}
			return
		}
		if len(tags) > 64 || len(slices.Compact(slices.Sorted(slices.Values(tags)))) != len(tags) {
			t.Errorf("%q, %q: %q", commas, spaces, tags)
		}
		for _, tag := range tags {
			if tag == "" || len(tag) > 256 || !strings.Contains(commas, tag) && !strings.Contains(spaces, tag) {
				t.Errorf("%q, %q: %q", commas, spaces, tag)
			}
		}
		// No tag of the input is missing.
		for tag := range strings.SplitSeq(commas, ",") {
			if tag = strings.Trim(tag, " \t"); tag != "" && !slices.Contains(tags, tag) {
				t.Errorf("%q isn't in %q", tag, tags)
			}
		}
	})
}

// RFC 9875 §2.
func TestGroups(t *testing.T) {
	var many []string
	for i := range 33 {
		many = append(many, strconv.Quote(strconv.Itoa(i)))
	}
	for _, tc := range []struct {
		name  string
		lines []string
		want  []string
		ok    bool
	}{
		{"none", nil, nil, true},
		{"a list over lines", []string{`"a", "b, c";x=1`, `"d"`}, []string{"a", "b, c", "d"}, true},
		{"each once", []string{`"a","a"`}, []string{"a"}, true},
		{"a token", []string{`"a", b`}, nil, true},
		{"an inner list", []string{`("a" "b")`}, nil, true},
		{"invalid", []string{`"a",`}, nil, true},
		{"too many", []string{strings.Join(many, ",")}, nil, false},
		{"as many as can be", []string{strings.Join(many[:32], ", ")}, slices.Collect(func(yield func(string) bool) {
			for i := range 32 {
				yield(strconv.Itoa(i))
			}
		}), true},
		{"too long", []string{`"` + strings.Repeat("a", 257) + `"`}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if groups, ok := rfc9111.Groups(tc.lines); !slices.Equal(groups, tc.want) || ok != tc.ok {
				t.Errorf("%q, %v, want %q, %v", groups, ok, tc.want, tc.ok)
			}
		})
	}
}
