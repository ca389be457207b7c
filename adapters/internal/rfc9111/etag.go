package rfc9111

import "strings"

// ETag is an entity tag (RFC 9110 §8.8.3). The zero value is no tag.
type ETag struct {
	Opaque string // with its quotes
	Weak   bool
}

// ParseETag reads a field value that is one entity tag, and reports whether it is valid.
func ParseETag(s string) (ETag, bool) {
	tag, rest, ok := cutETag(trimOWS(s))
	return tag, ok && rest == ""
}

// String returns the tag as it is in a field.
func (t ETag) String() string {
	if t.Weak {
		return "W/" + t.Opaque
	}
	return t.Opaque
}

// WeakMatch compares by the weak comparison function (RFC 9110 §8.8.3.2). No tag matches nothing.
func (t ETag) WeakMatch(u ETag) bool { return t.Opaque == u.Opaque && t.Opaque != "" }

// StrongMatch compares by the strong comparison function (RFC 9110 §8.8.3.2). No tag matches nothing.
func (t ETag) StrongMatch(u ETag) bool { return t.WeakMatch(u) && !t.Weak && !u.Weak }

// matchList reports whether tag matches, weakly, one of the entity tags in the lines of an If-None-Match field. A
// line is used up to its first invalid member.
func matchList(lines []string, tag ETag) bool {
	for _, line := range lines {
		rest := trimList(line)
		for rest != "" {
			var candidate ETag
			var ok bool
			candidate, rest, ok = cutETag(rest)
			if !ok {
				break
			}
			if candidate.WeakMatch(tag) {
				return true
			}
			if rest = trimOWS(rest); rest != "" && rest[0] != ',' {
				break
			}
			rest = trimList(rest)
		}
	}
	return false
}

// trimList cuts what is before the next member of a list. strings.TrimLeft makes a set of the characters first.
func trimList(s string) string {
	for s != "" && (s[0] == ',' || isOWS(s[0])) {
		s = s[1:]
	}
	return s
}

// cutETag cuts the entity tag that s begins with. It has no escapes, and may contain commas.
func cutETag(s string) (tag ETag, rest string, ok bool) {
	opaque, weak := strings.CutPrefix(s, "W/") // case-sensitive
	if opaque == "" || opaque[0] != '"' {
		return ETag{}, s, false
	}
	for i := 1; i < len(opaque); i++ {
		switch c := opaque[i]; {
		case c == '"':
			return ETag{Opaque: opaque[:i+1], Weak: weak}, opaque[i+1:], true
		case c <= ' ' || c == 0x7f:
			return ETag{}, s, false
		}
	}
	return ETag{}, s, false
}
