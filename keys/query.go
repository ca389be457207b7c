package keys

import (
	"net/url"
	"slices"
	"strings"
)

// param is a part of a query, between two '&'.
type param struct {
	name   string // decoded; the whole part if broken
	text   string // as it goes into the key
	broken bool
}

// appendQuery appends the query in its canonical form, which has no ':'.
//
// url.ParseQuery isn't used because it drops what it can't parse: a handler that parses differently would see parameters
// that aren't in the key. Empty parts ("a&&b") do go, as everywhere.
func appendQuery(b []byte, raw string) []byte {
	var space [16]param
	params := space[:0]
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part != "" {
			params = append(params, parseParam(part))
		}
	}
	// Stable, for the order of a name's values has a meaning.
	slices.SortStableFunc(params, compareParams)
	for i, p := range params {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.text...)
	}
	return b
}

// compareParams sorts by name, and broken parts to the end.
func compareParams(p, q param) int {
	switch {
	case p.broken == q.broken:
		return strings.Compare(p.name, q.name)
	case q.broken:
		return -1
	default:
		return 1
	}
}

func parseParam(part string) param {
	rawName, rawValue, hasValue := strings.Cut(part, "=")
	if isPlain(rawName) && isPlain(rawValue) {
		return param{name: rawName, text: part}
	}
	if strings.IndexByte(part, ';') >= 0 {
		return brokenParam(part)
	}
	name, err := url.QueryUnescape(rawName)
	if err != nil {
		return brokenParam(part)
	}
	value, err := url.QueryUnescape(rawValue)
	if err != nil {
		return brokenParam(part)
	}
	text := url.QueryEscape(name)
	if hasValue {
		text += "=" + url.QueryEscape(value)
	}
	return param{name: name, text: text}
}

func brokenParam(part string) param {
	return param{name: part, text: "!" + url.QueryEscape(part), broken: true}
}

// isPlain says that s needs no escaping, and thus no decoding.
func isPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
		default:
			return false
		}
	}
	return true
}
