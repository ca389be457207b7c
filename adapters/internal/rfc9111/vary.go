package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

// Vary returns the canonical names in the Vary fields of a response, sorted, without duplicates, and whether a "*" is among
// them, which no request matches (RFC 9111 §4.1). An invalid field name counts as "*", since it is unknown what the response depends
// on.
func Vary(response http.Header) (list []string, any bool) {
	for _, name := range names(response["Vary"]) {
		if name == "*" || !IsFieldName(name) {
			any = true
			continue
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return slices.Compact(list), any
}

// Selecting returns the normalised values of a request's fields with these names, for a key: they are the same for two requests if
// the response to one may be served to the other, as far as that can be told from the syntax (RFC 9111
// §4.1). An absent field differs from an empty one.
func Selecting(names []string, request http.Header) string {
	var room [128]byte
	b := room[:0]
	for _, name := range names {
		b = append(b, name...)
		if lines := request[name]; len(lines) > 0 {
			b = append(b, ':')
			switch name {
			case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
				b = appendPreferences(b, lines)
			default:
				b = appendList(b, lines)
			}
		}
		b = append(b, '\n')
	}
	return string(b)
}

// appendList appends the lines of a field as one (RFC 9110 §5.3), with a comma after each item and no whitespace
// around.
func appendList(b []byte, lines []string) []byte {
	for _, line := range lines {
		for list := itemsOf(line); list.more; {
			b = append(appendEscaped(b, list.next()), ',')
		}
	}
	return b
}

// appendPreferences appends the members of an Accept field in a canonical order: their own order has no meaning (RFC 9110
// §12.5).
func appendPreferences(b []byte, lines []string) []byte {
	var room [16]preference
	list := appendPreferred(room[:0], lines)
	slices.SortFunc(list, preference.compare)
	for i, p := range slices.Compact(list) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEscaped(b, p.of)
		b = appendEscaped(b, p.parameters)
		b = p.appendWeight(b)
	}
	return b
}

// appendEscaped escapes a value so that it doesn't look like several fields. Requests have no line feeds, but that isn't checked
// here.
func appendEscaped(b []byte, s string) []byte {
	if strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\\') < 0 {
		return append(b, s...)
	}
	for _, c := range []byte(s) {
		switch c {
		case '\n':
			b = append(b, `\n`...)
		case '\\':
			b = append(b, `\\`...)
		default:
			b = append(b, c)
		}
	}
	return b
}
