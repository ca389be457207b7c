package keys

import (
	"net/url"
	"slices"
	"strings"
)

// param is a part of a query, between two '&'.
type param struct {
	name string // decoded
	text string // as the client sent it
}

// appendQuery appends the query with its parts sorted by name. It has no ':'.
//
// Only the order changes: escapes stay as they are, for a handler that repeats the raw query in a page must not find one
// client's bare '"' or '<' where another client sent it escaped. url.ParseQuery isn't used because it drops what it can't
// parse: a handler that parses differently would see parameters that aren't in the key. Where a part has an ';' or a broken
// escape, parsers disagree on what the names are, and the order stays, too. Empty parts ("a&&b") do go, as everywhere.
func appendQuery(b []byte, raw string) []byte {
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
		p := param{name: part[:name], text: part}
		if !simple {
			var ok bool
			p.name, ok = paramName(part)
			sortable = sortable && ok
		}
		sorted = sorted && (len(params) == 0 || params[len(params)-1].name <= p.name)
		params = append(params, p)
	}
	if !sorted && sortable { // stable, for the order of a name's values has a meaning
		slices.SortStableFunc(params, func(p, q param) int { return strings.Compare(p.name, q.name) })
	}
	for i, p := range params {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendPart(b, p.text)
	}
	return b
}

// scanParam returns the lengths of the query's first part and of the name in it. simple: nothing in it is escaped, nor needs
// to be.
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

// paramName returns the decoded name of a part; false: parsers disagree on it.
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

// appendPart leaves what may be in a query, and writes '!' and two digits for any other byte: a ':' would look like the one
// before the query.
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

// plain are the bytes that stand for themselves in a path and a query: RFC 3986's unreserved ones.
var plain = bytesOf(lower + upper + digits + "-._~")

// inQuery are the bytes that stand for themselves in a key's query: RFC 3986's, but for ':' and '!'.
var inQuery = bytesOf(lower + upper + digits + "-._~" + "=%+$'()*,;/?@")

const upperHex = "0123456789ABCDEF"

func bytesOf(chars string) (table [256]bool) {
	for i := range len(chars) {
		table[chars[i]] = true
	}
	return table
}
