package rfc9111

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// A member of a structured-field Dictionary or List (RFC 9651 §3.1, §3.2), without its parameters.
type member struct {
	key  string // of a Dictionary
	kind kind
	text string // of an integer, a decimal, a token or a boolean as it is; of a string what it stands for
}

// kind is a type of structured data, as far as they are told apart here.
type kind int

const (
	kindOther kind = iota // inner lists, byte sequences, dates, display strings
	kindInteger
	kindDecimal
	kindString
	kindToken
	kindBoolean
)

// parseDictionary reads a Dictionary strictly (RFC 9651 §4.2.2): ok is false if any of it is invalid. Of members with
// the same key, the last is the one that counts.
func parseDictionary(lines []string) (members []member, ok bool) {
	return parseMembers(lines, func(s string) (m member, rest string, ok bool) {
		if m.key, s, ok = cutKey(s); !ok {
			return m, s, false
		}
		m.kind, m.text = kindBoolean, "?1"
		if strings.HasPrefix(s, "=") {
			m.kind, m.text, s, ok = cutItem(s[1:])
		}
		return m, s, ok
	})
}

// parseList reads a List strictly (RFC 9651 §4.2.1). Its members have no keys.
func parseList(lines []string) (members []member, ok bool) {
	return parseMembers(lines, func(s string) (m member, rest string, ok bool) {
		m.kind, m.text, rest, ok = cutItem(s)
		return m, rest, ok
	})
}

// parseMembers reads what cut does, with parameters, between commas.
func parseMembers(lines []string, cut func(string) (member, string, bool)) (members []member, ok bool) {
	s := strings.Trim(strings.Join(lines, ", "), " ")
	for s != "" {
		var m member
		if m, s, ok = cut(s); !ok {
			return nil, false
		}
		if s, ok = cutParameters(s); !ok {
			return nil, false
		}
		members = append(members, m)
		if s = strings.TrimLeft(s, " \t"); s == "" {
			break
		}
		after, comma := strings.CutPrefix(s, ",")
		if s = strings.TrimLeft(after, " \t"); !comma || s == "" {
			return nil, false
		}
	}
	return members, true
}

// cutKey cuts the key that s begins with (RFC 9651 §4.2.3.3).
func cutKey(s string) (key, rest string, ok bool) {
	if s == "" || !isLower(s[0]) && s[0] != '*' {
		return "", s, false
	}
	i := 1
	for i < len(s) && (isLower(s[i]) || isDigit(s[i]) || strings.IndexByte("_-.*", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:], true
}

// cutParameters cuts the parameters that s begins with, and forgets them (§4.2.3.2; RFC 9213 §2.1).
func cutParameters(s string) (rest string, ok bool) {
	for strings.HasPrefix(s, ";") {
		if _, s, ok = cutKey(strings.TrimLeft(s[1:], " ")); !ok {
			return s, false
		}
		if strings.HasPrefix(s, "=") {
			if _, _, s, ok = cutBare(s[1:]); !ok {
				return s, false
			}
		}
	}
	return s, true
}

// cutItem cuts the bare item or inner list that s begins with (§4.2.1.1, §4.2.1.2).
func cutItem(s string) (k kind, text, rest string, ok bool) {
	if !strings.HasPrefix(s, "(") {
		return cutBare(s)
	}
	s = s[1:]
	for {
		inner := strings.TrimLeft(s, " ")
		if rest, ok := strings.CutPrefix(inner, ")"); ok {
			return kindOther, "", rest, true
		}
		if _, _, s, ok = cutBare(inner); !ok {
			return 0, "", s, false
		}
		if s, ok = cutParameters(s); !ok || s == "" || s[0] != ' ' && s[0] != ')' {
			return 0, "", s, false
		}
	}
}

// cutBare cuts the bare item that s begins with (§4.2.3.1).
func cutBare(s string) (k kind, text, rest string, ok bool) {
	if s == "" {
		return 0, "", s, false
	}
	switch c := s[0]; {
	case c == '-' || isDigit(c):
		return cutNumber(s)
	case c == '"':
		text, rest, ok = cutString(s)
		return kindString, text, rest, ok
	case c == '*' || isAlpha(c):
		i := 1
		for i < len(s) && (s[i] == ':' || s[i] == '/' || isTokenByte(s[i])) {
			i++
		}
		return kindToken, s[:i], s[i:], true
	case c == '?':
		if len(s) < 2 || s[1] != '0' && s[1] != '1' {
			return 0, "", s, false
		}
		return kindBoolean, s[:2], s[2:], true
	case c == ':':
		return cutBytes(s)
	case c == '@':
		k, _, rest, ok = cutNumber(s[1:])
		return kindOther, "", rest, ok && k == kindInteger
	case c == '%':
		return cutDisplay(s)
	}
	return 0, "", s, false
}

// cutNumber cuts an integer of at most 15 digits, or a decimal of at most 12 and 3 (§4.2.4).
func cutNumber(s string) (k kind, text, rest string, ok bool) {
	begin := len(s) - len(strings.TrimPrefix(s, "-"))
	i := begin
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	digits := i - begin
	if digits == 0 || digits > 15 {
		return 0, "", s, false
	}
	if i == len(s) || s[i] != '.' {
		return kindInteger, s[:i], s[i:], true
	}
	point := i
	for i++; i < len(s) && isDigit(s[i]); i++ {
	}
	if fraction := i - point - 1; digits > 12 || fraction < 1 || fraction > 3 {
		return 0, "", s, false
	}
	return kindDecimal, s[:i], s[i:], true
}

// cutString cuts a string and returns what it stands for (§4.2.5).
func cutString(s string) (text, rest string, ok bool) {
	var b []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return string(b), s[i+1:], true
		case c < ' ' || c > '~':
			return "", s, false
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", s, false
			}
		}
		b = append(b, s[i])
	}
	return "", s, false
}

// cutBytes cuts a byte sequence (§4.2.7), whose padding may be missing.
func cutBytes(s string) (k kind, text, rest string, ok bool) {
	encoded, rest, ok := strings.Cut(s[1:], ":")
	if !ok {
		return 0, "", s, false
	}
	_, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	return kindOther, "", rest, err == nil && !strings.ContainsAny(encoded, "\r\n") // which the decoder skips
}

// cutDisplay cuts a display string, which is UTF-8 when it is decoded (§4.2.10).
func cutDisplay(s string) (k kind, text, rest string, ok bool) {
	if !strings.HasPrefix(s, `%"`) {
		return 0, "", s, false
	}
	var decoded []byte
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return kindOther, "", s[i+1:], utf8.Valid(decoded)
		case c < ' ' || c > '~':
			return 0, "", s, false
		case c != '%':
			decoded = append(decoded, c)
		case i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]):
			return 0, "", s, false
		default:
			decoded = append(decoded, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		}
	}
	return 0, "", s, false
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c && c <= 'f' }
