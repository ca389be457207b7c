package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

// Lists reports whether a field is a list to which several handlers of one response add their own members. name is canonical.
func Lists(name string) bool {
	switch name {
	case "Vary", "Link", "Server-Timing", "Set-Cookie":
		return true
	}
	return false
}

// Added returns the lines that a handler added to those of a list that was already set, and reports whether it did. Otherwise
// it left them unchanged, or replaced them.
func Added(found, now []string) (lines []string, ok bool) {
	switch n := len(found); {
	case n == 0:
		return nil, false
	case len(now) > n && slices.Equal(now[:n], found):
		return now[n:], true
	case n == 1 && len(now) == 1: // some frameworks put all members into one line
		rest, ok := strings.CutPrefix(now[0], found[0])
		rest = trimOWS(rest)
		if ok = ok && strings.HasPrefix(rest, ","); ok {
			return []string{trimOWS(rest[1:])}, true
		}
	}
	return nil, false
}

// Merged returns the lines of a field in a response, if handlers around a cache have set some, and the stored response has
// others. For a list these are all of them, without duplicates; for Cache-Control the stored ones, and the stricter directives of the
// others; for any other field the stored ones. name is canonical.
func Merged(name string, around, stored []string) []string {
	switch {
	case len(around) == 0 || len(stored) == 0 && name != "Cache-Control":
		return stored
	case name == "Cache-Control":
		if line := stricterDirectives(ParseCacheControl(around), ParseCacheControl(stored)); line != "" {
			return append([]string{line}, stored...) // first, for the first of a directive counts
		}
		return stored
	case !Lists(name):
		return stored
	}
	merged := slices.Clone(around)
	for _, line := range stored {
		said := slices.Contains(around, line) || name == "Vary" && containsAll(names(around), names([]string{line}))
		if !said {
			merged = append(merged, line)
		}
	}
	return merged
}

func containsAll(set, list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(set, s) })
}

// stricterDirectives returns a line of the directives that are stricter for clients and other caches than the stored ones.
func stricterDirectives(around, stored CacheControl) string {
	var list []string
	for _, d := range around {
		switch d.Name {
		case "no-store", "private", "no-cache", "must-revalidate", "proxy-revalidate", "no-transform":
			if !stored.Has(d.Name) && d.fields() == nil {
				list = append(list, d.Name)
			}
		case "max-age", "s-maxage":
			age, _ := around.Seconds(d.Name)
			if has, ok := stored.Seconds(d.Name); ok && age < has {
				list = append(list, d.Name+"="+d.Value)
			}
		}
	}
	return strings.Join(list, ", ")
}

// Forbids reports whether a response's Cache-Control, or its targeted one, forbids to serve it to other requests without validation:
// with no-store, no-cache or private. private means that stored responses are for one user only, which allows the directive.
func Forbids(cacheControl, targeted []string, private bool) bool {
	cc, _ := Control(http.Header{"Cache-Control": cacheControl, "Cdn-Cache-Control": targeted}, Shared)
	return cc.Has("no-store") || cc.whole("no-cache") || !private && cc.whole("private")
}
