package rfc9111

import (
	"net/http"
	"slices"
)

// Kind is the kind of a cache (RFC 9111 §1).
type Kind int

const (
	Shared  Kind = iota // for many users
	Private             // for one
)

// Control returns the Cache-Control that applies to such a cache. To a shared one it is CDN-Cache-Control if there is a valid one that
// isn't empty (RFC 9213 §2.2), or else Cache-Control. With the former, targeted is true, and Cache-Control and Expires are ignored. To a
// private one it is Cache-Control without the directives that are for shared caches only.
func Control(response http.Header, kind Kind) (cc CacheControl, targeted bool) {
	if kind == Private {
		return slices.DeleteFunc(ParseCacheControl(response["Cache-Control"]), forShared), false
	}
	if lines := response["Cdn-Cache-Control"]; len(lines) > 0 {
		if members, ok := parseDictionary(lines); ok && len(members) > 0 {
			return directives(members), true
		}
	}
	return ParseCacheControl(response["Cache-Control"]), false
}

// forShared reports whether a directive is for shared caches only (RFC 9111 §5.2.2.7, §5.2.2.8, §5.2.2.10).
func forShared(d Directive) bool {
	return d.Name == "private" || d.Name == "proxy-revalidate" || d.Name == "s-maxage"
}

// directives returns the directives that a targeted field has. A member that this cache doesn't know, or whose value
// isn't of the directive's type, isn't one (RFC 9213 §2.1); but the last of a name replaces those before it, whatever
// it is.
func directives(members []member) CacheControl {
	var cc CacheControl
	for _, m := range members {
		kinds := kindsOf(m.key)
		if len(kinds) == 0 {
			continue
		}
		cc = slices.DeleteFunc(cc, func(d Directive) bool { return d.Name == m.key })
		switch {
		case !slices.Contains(kinds, m.kind) || m.text == "?0":
		case m.kind == kindBoolean:
			cc = append(cc, Directive{Name: m.key})
		default:
			cc = append(cc, Directive{Name: m.key, Value: m.text, Quoted: m.kind == kindString})
		}
	}
	return cc
}

// kindsOf returns the types that a directive's value may have; none for an unknown directive.
func kindsOf(directive string) []kind {
	switch directive {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		return []kind{kindInteger}
	case "no-cache", "private":
		return []kind{kindBoolean, kindString}
	case "no-store", "must-revalidate", "proxy-revalidate", "must-understand", "public":
		return []kind{kindBoolean}
	}
	return nil
}
