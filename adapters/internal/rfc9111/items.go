package rfc9111

// items is a field line with commas between its items (RFC 9110 §5.6.1), of which the first ones have been read.
type items struct {
	rest string
	more bool // there is another item; it may be empty
	open bool // the rest has no closing quote
}

func itemsOf(line string) items { return items{rest: line, more: true} }

// next returns the next item, trimmed. A comma within a quoted string doesn't end an item. A quote that is never closed is an
// ordinary character. The closing quote is searched for only once, since a line of such quotes would take quadratic time.
func (l *items) next() string {
	s := l.rest
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ',':
			l.rest = s[i+1:]
			return trimOWS(s[:i])
		case s[i] == '"' && !l.open:
			n := quotedLen(s[i:])
			i += max(0, n-1)
			l.open = n == 0
		}
	}
	l.rest, l.more = "", false
	return trimOWS(s)
}
