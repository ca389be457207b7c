package rfc9111

import (
	"net/url"
	"strings"
)

// UsualPath reports whether a URL's path is spelled as clients usually do: with all necessary escapes, and no
// others. Paths of other spellings are equivalent to one such path (RFC 3986, section 6.2.2.2), but routers and
// handlers that look at the raw path can tell them apart.
func UsualPath(u *url.URL) bool {
	if u.RawPath == "" || u.Opaque != "" {
		return true
	}
	return u.EscapedPath() == u.RawPath && usual(u.RawPath)
}

func usual(escaped string) bool {
	for {
		i := strings.IndexByte(escaped, '%')
		if i < 0 || i+2 >= len(escaped) {
			return true
		}
		if c := unhex(escaped[i+1])<<4 | unhex(escaped[i+2]); unreserved(c) {
			return false
		}
		escaped = escaped[i+3:]
	}
}

// Spellings returns the usual spellings of an escaped path: with the digits of its escapes in upper case, and in lower case
// (RFC 3986, section 6.2.2.1).
func Spellings(escaped string) []string {
	if strings.IndexByte(escaped, '%') < 0 {
		return []string{escaped}
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' || i+2 >= len(escaped) {
			b.WriteByte(escaped[i])
			continue
		}
		c := unhex(escaped[i+1])<<4 | unhex(escaped[i+2])
		if i += 2; unreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	upper := b.String()
	return []string{upper, lowerEscapes(upper)}
}

func lowerEscapes(escaped string) string {
	b := []byte(escaped)
	for i := range b {
		if i >= 1 && b[i-1] == '%' || i >= 2 && b[i-2] == '%' {
			if 'A' <= b[i] && b[i] <= 'F' {
				b[i] += 'a' - 'A'
			}
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		return true
	}
	return false
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}
