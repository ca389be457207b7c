package rfc9111

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Range is a part of a representation: both ends, counted in bytes from 0, are in it.
type Range struct{ First, Last int64 }

// RangeUse says which part a Range field requests.
type RangeUse int

const (
	WholeRange RangeUse = iota // none: the response is the whole representation
	OneRange                   // a part: 206
	NoRange                    // a part that doesn't exist: 416
)

// ParseRange parses the Range fields of a request for a representation of a known size (RFC 9110 §14.1.2, §14.2). A field that
// is invalid, of another unit, or has several ranges (§17.15) is ignored.
func ParseRange(lines []string, size int64) (Range, RangeUse) {
	spec, ok := oneSpec(lines)
	if !ok || size < 0 {
		return Range{}, WholeRange
	}
	first, last, dash := strings.Cut(spec, "-")
	switch {
	case !dash:
		return Range{}, WholeRange
	case first == "":
		return suffixRange(last, size)
	}
	r := Range{Last: size - 1}
	if r.First, ok = parseDigits(first); !ok {
		return Range{}, WholeRange
	}
	if last != "" {
		end, ok := parseDigits(last)
		if !ok || end < r.First {
			return Range{}, WholeRange
		}
		r.Last = min(end, r.Last)
	}
	if r.First >= size {
		return Range{}, NoRange
	}
	return r, OneRange
}

// oneSpec returns the only range that a Range field in bytes has.
func oneSpec(lines []string) (spec string, ok bool) {
	if len(lines) != 1 {
		return "", false
	}
	unit, set, _ := strings.Cut(trimOWS(lines[0]), "=")
	if !strings.EqualFold(unit, "bytes") {
		return "", false
	}
	for s := range strings.SplitSeq(set, ",") {
		if s = trimOWS(s); s == "" { // RFC 9110 §5.6.1.2
			continue
		}
		if spec != "" {
			return "", false
		}
		spec = s
	}
	return spec, spec != ""
}

// suffixRange is the last n bytes.
func suffixRange(digits string, size int64) (Range, RangeUse) {
	n, ok := parseDigits(digits)
	switch {
	case !ok:
		return Range{}, WholeRange
	case n == 0:
		return Range{}, NoRange
	case size == 0: // satisfiable, but no Content-Range can say so
		return Range{}, WholeRange
	}
	return Range{First: max(0, size-n), Last: size - 1}, OneRange
}

// ParseContentRange reads the Content-Range fields of a 206 (RFC 9110 §14.4). size is -1 if the response doesn't say
// it. The form of a 416, without a range, isn't ok.
func ParseContentRange(lines []string) (r Range, size int64, ok bool) {
	if len(lines) != 1 {
		return Range{}, 0, false
	}
	unit, rest, _ := strings.Cut(trimOWS(lines[0]), " ")
	ends, complete, _ := strings.Cut(rest, "/")
	first, last, _ := strings.Cut(ends, "-")
	if !strings.EqualFold(unit, "bytes") {
		return Range{}, 0, false
	}
	var okFirst, okLast bool
	r.First, okFirst = parseDigits(first)
	r.Last, okLast = parseDigits(last)
	size, ok = parseDigits(complete)
	if complete == "*" {
		size, ok = -1, true
	}
	if !ok || !okFirst || !okLast || r.Last < r.First || size >= 0 && size <= r.Last {
		return Range{}, 0, false
	}
	return r, size, true
}

// ContentRange returns the value of Content-Range for this part of a representation; a size below 0 isn't known.
func (r Range) ContentRange(size int64) string {
	b := append(make([]byte, 0, 48), "bytes "...)
	b = append(strconv.AppendInt(b, r.First, 10), '-')
	b = append(strconv.AppendInt(b, r.Last, 10), '/')
	if size < 0 {
		return string(append(b, '*'))
	}
	return string(strconv.AppendInt(b, size, 10))
}

// RangeApplies reports whether the Range of a request applies to the stored response, by its If-Range (RFC 9110
// §13.1.5).
func RangeApplies(request http.Header, stored Validators) bool {
	lines := request["If-Range"]
	if len(lines) != 1 {
		return len(lines) == 0
	}
	value := trimOWS(lines[0])
	if tag, ok := ParseETag(value); ok {
		own, _ := ParseETag(stored.ETag)
		return tag.StrongMatch(own)
	}
	return value == trimOWS(stored.LastModified) && stored.strongDate()
}

// strongDate reports whether Last-Modified is a strong validator: the content didn't change in the second after it,
// as Date shows (RFC 9110 §8.8.2.2). Both are taken to be of one clock, the origin's.
func (v Validators) strongDate() bool {
	modified, ok := parseDate(v.LastModified)
	date, okDate := parseDate(v.Date)
	return ok && okDate && date.Sub(modified) >= time.Second
}
