package keys

import (
	"net/url"
	"slices"
	"strings"
)

// param is a part of a query, between two '&'.
type param struct {
	name string // decoded
	text string // not decoded
	same bool   // the text has only bytes that a key keeps
}

// appendQuery appends the query with its parts sorted by name. It has no ':'.
//
// Only the order changes. Escapes are kept, since a handler may repeat the raw query in a page: one client's bare '"' or '<' must
// not be served to another client that sent it escaped. url.ParseQuery isn't used because it drops parts that it can't
// parse: a handler that parses differently would see parameters that aren't in the key. If a part has a ';' or an invalid
// escape, parsers disagree on the names, and the order is kept, too. Empty parts ("a&&b") are dropped, as by all parsers.
func appendQuery(b []byte, raw string) []byte {
	if raw == "" {
		return b
	}
	var space [8]param
	params := space[:0]
	sorted, sortable := true, true
	for raw != "" {
		length, name, simple := scanParam(raw)
		part := raw[:length]
		raw = raw[min(length+1, len(raw)):]
		if part == "" {
			continue
		}
		p := param{name: part[:name], text: part, same: simple}
		if !simple {
			var ok bool
			p.name, ok = paramName(part)
			sortable = sortable && ok
		}
		sorted = sorted && (len(params) == 0 || params[len(params)-1].name <= p.name)
		params = append(params, p)
	}
	if !sorted && sortable { // stable, since the order of a name's values matters
		slices.SortStableFunc(params, func(p, q param) int { return strings.Compare(p.name, q.name) })
	}
	for i := range params {
		if i > 0 {
			b = append(b, '&')
		}
		if p := &params[i]; p.same {
			b = append(b, p.text...)
		} else {
			b = appendPart(b, p.text)
		}
	}
	return b
}

// scanParam returns the lengths of the query's first part and of the name in it. simple means that the part has no escapes and
// needs none.
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

// paramName returns the decoded name of a part, or false if parsers disagree on it.
func paramName(part string) (name string, ok bool) {
	rawName, rawValue, _ := strings.Cut(part, "=")
	if strings.IndexByte(part, ';') >= 0 {
		return "", false
	}
	name, err := url.QueryUnescape(rawName)
	if err != nil {
		return "", false
	}
	_, err = url.QueryUnescape(rawValue)
	return name, err == nil
}

// appendPart keeps the bytes that are allowed in a query, and writes '!' and two digits for any other: a ':' would look like the
// separator before the query.
func appendPart(b []byte, part string) []byte {
	for i := range len(part) {
		if c := part[i]; inQuery[c] {
			b = append(b, c)
		} else {
			b = append(b, '!', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// plain has the bytes that need no escape in a path and a query: RFC 3986's unreserved ones.
var plain = bytesOf(lower + upper + digits + "-._~")

// inQuery has the bytes that need no escape in a key's query: RFC 3986's, except ':' and '!'.
var inQuery = bytesOf(lower + upper + digits + "-._~" + "=%+$'()*,;/?@")

const upperHex = "0123456789ABCDEF"

func bytesOf(chars string) (table [256]bool) {
	for i := range len(chars) {
		table[chars[i]] = true
	}
	return table
}
