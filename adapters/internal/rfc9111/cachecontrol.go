package rfc9111

import (
	"math"
	"strings"
	"time"
)

// CacheControl is a parsed Cache-Control field: its directives in their order. The zero value has none.
type CacheControl []Directive

// Directive is one member of a Cache-Control field.
type Directive struct {
	Name   string // in lower case
	Value  string // unquoted; empty also if there is none
	Quoted bool   // the value was a quoted string
}

// ParseCacheControl reads all lines of a Cache-Control field (RFC 9111 §5.2), in any case, with values as tokens or
// as quoted strings. Any input gives a result: invalid input becomes an unknown directive, or a
// value that no directive accepts. A name also ends at a ';', and has no value then, so that "private; max-age=60",
// which some servers send, has the effect of private.
func ParseCacheControl(lines []string) CacheControl { return appendDirectives(nil, lines) }

func appendDirectives(cc CacheControl, lines []string) CacheControl {
	for _, rest := range lines {
		for rest != "" {
			var member string
			member, rest = cutMember(rest)
			name, value, _ := strings.Cut(member, "=")
			if before, _, cut := strings.Cut(name, ";"); cut {
				name, value = before, ""
			}
			if name = strings.ToLower(trimOWS(name)); name != "" {
				value, quoted := unquote(trimOWS(value))
				cc = append(cc, Directive{Name: name, Value: value, Quoted: quoted})
			}
		}
	}
	return cc
}

// Has reports whether the directive is present, with any value. name is in lower case.
func (cc CacheControl) Has(name string) bool {
	_, ok := cc.Get(name)
	return ok
}

// Get returns the value of a directive and whether it is there. Of several, the first counts (RFC 9111 §4.2.1).
func (cc CacheControl) Get(name string) (value string, ok bool) {
	for _, d := range cc {
		if d.Name == name {
			return d.Value, true
		}
	}
	return "", false
}

// Seconds returns the value of a directive that takes seconds, and whether the directive is there. An invalid value
// is 0: RFC 9111 §4.2.1 wants a response with invalid freshness information to be stale.
func (cc CacheControl) Seconds(name string) (d time.Duration, ok bool) {
	value, ok := cc.Get(name)
	if !ok {
		return 0, false
	}
	d, _ = parseSeconds(value)
	return d, true
}

// whole reports whether a directive is present in the form without field names, which applies to the whole response (RFC
// 9111 §5.2.2.4, §5.2.2.7).
func (cc CacheControl) whole(name string) bool {
	for _, d := range cc {
		if d.Name == name && d.fields() == nil {
			return true
		}
	}
	return false
}

// fields returns the names of the fields that are not to be stored: those that no-cache or private are limited to.
func (cc CacheControl) fields() []string {
	var list []string
	for _, d := range cc {
		if d.Name == "no-cache" || d.Name == "private" {
			list = append(list, d.fields()...)
		}
	}
	return list
}

// fields returns the names of the fields to which a no-cache or private is limited, or nil if it applies to the whole
// response. The latter is allowed for both forms and stricter: it is used for a list that can't be
// parsed, and for tokens, since "private=true" doesn't name a field.
func (d Directive) fields() []string {
	if !d.Quoted {
		return nil
	}
	list := names([]string{d.Value})
	for _, name := range list {
		if !IsFieldName(name) {
			return nil
		}
	}
	return list
}

// maxSeconds is the value of any larger number (RFC 9111 §1.2.2).
const maxSeconds = 1 << 31

// parseSeconds reads delta-seconds: digits and nothing else.
func parseSeconds(s string) (d time.Duration, ok bool) {
	n, ok := parseDigits(s)
	return time.Duration(min(n, maxSeconds)) * time.Second, ok
}

// parseDigits reads digits and nothing else. What is too large is math.MaxInt64.
func parseDigits(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if !isDigit(c) {
			return 0, false
		}
		if digit := int64(c - '0'); n > (math.MaxInt64-digit)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + digit
		}
	}
	return n, s != ""
}

// cutMember cuts a list at its first comma outside of a quoted string. A quote that is never closed, or that doesn't
// begin a value, is an ordinary character: it must not hide the directives after it.
func cutMember(s string) (member, rest string) {
	valueBegins := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			return s[:i], s[i+1:]
		case ' ', '\t':
			continue
		case '"':
			if valueBegins {
				i += max(0, quotedLen(s[i:])-1)
			}
		}
		valueBegins = s[i] == '='
	}
	return s, ""
}

// quotedLen returns the length of the quoted string that s begins with, including the quotes; 0 if it isn't closed.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// unquote returns what a quoted string stands for (RFC 9110 §5.6.4), and anything else as it is.
func unquote(s string) (value string, quoted bool) {
	if len(s) < 2 || s[0] != '"' || quotedLen(s) != len(s) {
		return s, false
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b), true
}

// trimOWS cuts optional whitespace (RFC 9110 §5.6.3), and no other kind, from both ends. Hits call it often, and most of
// the time there is none: strings.Trim makes a set of the two characters first.
func trimOWS(s string) string {
	for s != "" && isOWS(s[0]) {
		s = s[1:]
	}
	for s != "" && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }
