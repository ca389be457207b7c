package keys

import "strings"

// Join joins parts with ':'. In a part, ':' becomes "%3A" and '%' becomes "%25", so that different parts give different keys:
//
//	Join("user", "42")   user:42
//	Join("a:b", "c")     a%3Ab:c
//	Join("a", "")        a:
//	Join("", "")         :
//	Join("")             the empty string
//	Join()               %
func Join(parts ...string) string {
	if len(parts) == 0 {
		return "%" // no escaped part is that
	}
	n := len(parts) - 1
	for _, p := range parts {
		n += len(p) + 2*(strings.Count(p, ":")+strings.Count(p, "%"))
	}
	var b strings.Builder
	b.Grow(n)
	for i, p := range parts {
		if i > 0 {
			b.WriteByte(':')
		}
		writePart(&b, p)
	}
	return b.String()
}

func writePart(b *strings.Builder, p string) {
	for {
		i := strings.IndexAny(p, ":%")
		if i < 0 {
			b.WriteString(p)
			return
		}
		b.WriteString(p[:i])
		if p[i] == ':' {
			b.WriteString("%3A")
		} else {
			b.WriteString("%25")
		}
		p = p[i+1:]
	}
}
