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
	var space [8]param
	params := space[:0]
	sorted := true
	for raw != "" {
		length, name, simple := scanParam(raw)
		part := raw[:length]
		raw = raw[min(length+1, len(raw)):]
		if part == "" {
			continue
		}
		p := param{name: part[:name], text: part}
		if !simple {
			p = parseParam(part)
		}
		sorted = sorted && (len(params) == 0 || compareParams(params[len(params)-1], p) <= 0)
		params = append(params, p)
	}
	if !sorted { // stable, for the order of a name's values has a meaning
		slices.SortStableFunc(params, compareParams)
	}
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

// scanParam returns the lengths of the query's first part and of the name in it. simple: nothing needs escaping, and thus no
// decoding.
func scanParam(raw string) (length, name int, simple bool) {
	name, simple = -1, true
	for length < len(raw) && raw[length] != '&' {
		switch c := raw[length]; {
		case plain[c]:
		case c == '=' && name < 0:
			name = length
		default:
			simple = false
		}
		length++
	}
	if name < 0 {
		name = length
	}
	return length, name, simple
}

func parseParam(part string) param {
	rawName, rawValue, hasValue := strings.Cut(part, "=")
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

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// plain are the bytes that stand for themselves in a path and a query: RFC 3986's unreserved ones.
var plain = bytesOf(lower + upper + digits + "-._~")

func bytesOf(chars string) (table [256]bool) {
	for i := range len(chars) {
		table[chars[i]] = true
	}
	return table
}
