package rfc9111

import (
	"strings"
	"time"
)

// CacheControl is a parsed Cache-Control field: its directives in their order. The zero value has none.
type CacheControl []Directive

// Directive is one member of a Cache-Control field.
type Directive struct {
	Name  string // in lower case
	Value string // unquoted; empty also if there is none
}

// ParseCacheControl reads all lines of a Cache-Control field (RFC 9111 §5.2), in any case, with values as tokens or
// as quoted strings. Any input gives a result: what can't be understood is a directive that nobody asks for, or a
// value that no directive accepts. A name also ends at a ';', so that "private; max-age=60", which is seen in the wild,
// forbids what it was meant to.
func ParseCacheControl(lines []string) CacheControl {
	var cc CacheControl
	for _, rest := range lines {
		for rest != "" {
			var member string
			member, rest = cutMember(rest)
			name, value, _ := strings.Cut(member, "=")
			name, _, _ = strings.Cut(name, ";")
			if name = strings.ToLower(trimOWS(name)); name != "" {
				cc = append(cc, Directive{Name: name, Value: unquote(trimOWS(value))})
			}
		}
	}
	return cc
}

// Has answers whether the directive is there, whatever its value. name is in lower case.
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

// maxSeconds is what a larger number counts as (RFC 9111 §1.2.2).
const maxSeconds = 1 << 31

// parseSeconds reads delta-seconds: digits and nothing else.
func parseSeconds(s string) (d time.Duration, ok bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxSeconds)
	}
	return time.Duration(n) * time.Second, true
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

// quotedLen is the length of the quoted string that s begins with, quotes included; 0 if it isn't closed.
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
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || quotedLen(s) != len(s) {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// trimOWS cuts optional whitespace (RFC 9110 §5.6.3), and no other kind, from both ends.
func trimOWS(s string) string { return strings.Trim(s, " \t") }
