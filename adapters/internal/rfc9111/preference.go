package rfc9111

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
)

// preference is a member of an Accept, Accept-Charset, Accept-Encoding or Accept-Language field (RFC 9110 §12.4,
// §12.5).
type preference struct {
	of         string // the media range, charset, coding or language range, in lower case
	parameters string // of a media range, with the semicolon before them: their case may matter
	weight     int    // in thousandths
}

const fullWeight = 1000

// appendPreferred appends the members that aren't empty, in their order.
func appendPreferred(list []preference, lines []string) []preference {
	for _, line := range lines {
		for items := itemsOf(line); items.more; {
			if item := items.next(); item != "" {
				list = append(list, parsePreference(item))
			}
		}
	}
	return list
}

// parsePreference reads a member. A weight that isn't valid (RFC 9110 §12.4.2) is a parameter like any other.
func parsePreference(item string) preference {
	p := preference{weight: fullWeight}
	if i := strings.LastIndexByte(item, ';'); i >= 0 {
		if weight, ok := parseWeight(trimOWS(item[i+1:])); ok {
			p.weight = weight
			item = trimOWS(item[:i])
		}
	}
	of := item
	if i := strings.IndexByte(item, ';'); i >= 0 {
		of, p.parameters = trimOWS(item[:i]), item[i:]
	}
	p.of = strings.ToLower(of)
	return p
}

// parseWeight reads "q=" and a number from 0 to 1 with at most three decimals.
func parseWeight(s string) (thousandths int, ok bool) {
	if len(s) < 3 || len(s) > 7 || s[0]|0x20 != 'q' || s[1] != '=' || s[2] != '0' && s[2] != '1' {
		return 0, false
	}
	thousandths = int(s[2]-'0') * fullWeight
	if len(s) > 3 && s[3] != '.' {
		return 0, false
	}
	for i, worth := 4, 100; i < len(s); i, worth = i+1, worth/10 {
		if !isDigit(s[i]) {
			return 0, false
		}
		thousandths += int(s[i]-'0') * worth
	}
	return thousandths, thousandths <= fullWeight
}

func (p preference) compare(q preference) int {
	if n := strings.Compare(p.of, q.of); n != 0 { // usually they differ here
		return n
	}
	return cmp.Or(strings.Compare(p.parameters, q.parameters), cmp.Compare(p.weight, q.weight))
}

// appendWeight appends the weight in a form that no parameter has once it is escaped, and nothing for the full one.
func (p preference) appendWeight(b []byte) []byte {
	if p.weight == fullWeight {
		return b
	}
	return strconv.AppendInt(append(b, `\q`...), int64(p.weight), 10)
}

// Encoding returns the first of a cache's own content codings, in their order, that an Accept-Encoding field allows
// (RFC 9110 §12.5.3), or "identity". Without the field any coding is allowed, but a client that doesn't send it may support
// none.
func Encoding(lines []string, codings []string) string {
	var room [16]preference
	list := appendPreferred(room[:0], lines)
	for _, coding := range codings {
		if allows(list, strings.ToLower(coding)) {
			return coding
		}
	}
	return "identity"
}

func allows(list []preference, coding string) bool {
	star := false
	for _, p := range list {
		switch p.of {
		case coding, "x-" + coding: // §8.4.1: x-gzip and x-compress are gzip and compress
			return p.weight > 0
		case "*":
			star = p.weight > 0
		}
	}
	return star
}

// FirstLanguage returns the language that a request prefers to all others (RFC 9110 §12.5.4), in lower case: the only
// one with the highest weight. ok is false if there is none, or the field can't be understood.
func FirstLanguage(request http.Header) (tag string, ok bool) {
	var room [16]preference
	best := preference{}
	for _, p := range appendPreferred(room[:0], request["Accept-Language"]) {
		switch {
		case p.parameters != "" || !isLanguage(p.of):
			return "", false
		case p.weight > best.weight:
			best, ok = p, true
		case p.weight == best.weight && p.of != best.of:
			ok = false
		}
	}
	if !ok || best.of == "*" {
		return "", false
	}
	return best.of, true
}

// isLanguage reports whether a range, in lower case, is one of RFC 4647 §2.1.
func isLanguage(s string) bool {
	for _, c := range []byte(s) {
		if !isLower(c) && !isDigit(c) && c != '-' {
			return s == "*"
		}
	}
	return s != ""
}
