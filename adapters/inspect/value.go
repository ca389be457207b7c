package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxValue is how much of a value is shown, in bytes.
const maxValue = 64 << 10

// limited is a buffer that takes so many bytes and then fails, so that a large value isn't encoded as a whole.
type limited struct {
	bytes.Buffer
}

var errFull = fmt.Errorf("more than %d bytes", maxValue)

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxValue {
		p = p[:maxValue-l.Len()]
		_, _ = l.Buffer.Write(p)
		return len(p), errFull
	}
	return l.Buffer.Write(p)
}

// valueText returns a value as indented JSON, or, if JSON can't say it, as Go does. Bytes that are text, or JSON, are shown as that.
// A method of the value that panics is reported in its place.
func valueText(v any) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("a %T whose methods panic: %v", v, p)
		}
	}()
	if b, ok := v.([]byte); ok {
		return bytesText(b)
	}
	var out limited
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // the template escapes
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil && out.Len() == 0 {
		return cut(fmt.Sprintf("%+v", v))
	}
	if out.Len() == maxValue {
		return cut(out.String())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func bytesText(b []byte) string {
	var out bytes.Buffer
	switch {
	case len(b) <= maxValue && json.Indent(&out, b, "", "  ") == nil:
		return cut(out.String())
	case utf8.Valid(b):
		return cut(string(b))
	}
	if len(b) > maxValue/4 {
		b = b[:maxValue/4]
	}
	return cut(strconv.Quote(string(b)))
}

// cut returns the beginning of a text that is too long, and says that it was cut.
func cut(s string) string {
	if len(s) < maxValue {
		return s
	}
	return strings.ToValidUTF8(s[:maxValue-1], "") + fmt.Sprintf("\n… cut after %d bytes", maxValue)
}

// shown returns a key or a tag as it is shown: quoted, if it has characters that can't be seen, and cut if it is long.
func shown(s string) string {
	const most = 200
	tail := ""
	if len(s) > most {
		tail = fmt.Sprintf("… (%d bytes)", len(s))
		s = strings.ToValidUTF8(s[:most], "")
	}
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return strconv.Quote(s) + tail
		}
	}
	return s + tail
}

// ago returns a duration as people read it: with two units at most.
func ago(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%s%dd%dh", sign, d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%s%dh%dm", sign, d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%s%dm%ds", sign, d/time.Minute, d%time.Minute/time.Second)
	case d >= time.Second:
		return fmt.Sprintf("%s%.1fs", sign, d.Seconds())
	}
	return sign + d.Round(10*time.Microsecond).String()
}

// size returns a number of bytes as people read it.
func size(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
