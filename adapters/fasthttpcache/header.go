package fasthttpcache

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// responseHeader copies a response's header fields without Content-Length, which fasthttp sets from the body.
func responseHeader(out *fasthttp.Response) http.Header {
	h := make(http.Header)
	for name, value := range out.Header.All() {
		h.Add(string(name), string(value))
	}
	delete(h, "Content-Length")
	return h
}

// sameLines reports whether two headers have the same lines. It ignores names without lines.
func sameLines(a, b http.Header) bool { return covers(a, b) && covers(b, a) }

func covers(a, b http.Header) bool {
	for name, lines := range b {
		if !slices.Equal(a[name], lines) {
			return false
		}
	}
	return true
}

// setFields writes the reply's fields to a response, and replaces those that are set. Usually none is: then
// no lookup is needed, and the names are already canonical. dated: also the Date, which the server would otherwise replace
// by its own.
func setFields(out *fasthttp.ResponseHeader, reply *httpcache.Reply, dated bool) {
	none := out.Len() == 0
	last := ""
	for name, value := range reply.Fields() {
		switch {
		case name == "Date":
			if dated {
				setDate(out, value)
			}
			continue
		case name == last:
			out.Add(name, value)
			continue
		case none:
			out.SetCanonical(viewBytes(name), viewBytes(value))
		default:
			out.Del(name)
			out.Add(name, value)
		}
		last = name
	}
}

// viewString returns b as a string, which is valid until b changes.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// viewBytes returns s as bytes that must not be changed.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// hasContentType reports whether a handler has set a response's Content-Type.
func hasContentType(out *fasthttp.Response) bool {
	var h fasthttp.ResponseHeader
	out.Header.CopyTo(&h)
	h.SetNoDefaultContentType(true)
	return len(h.ContentType()) > 0
}

// setDate sets the one field that fasthttp's setters ignore. fasthttp accepts it when it parses a header, or a trailer. Without
// fasthttp.Server.NoDefaultDate it still sends its own instead.
func setDate(h *fasthttp.ResponseHeader, value string) {
	if strings.ContainsAny(value, "\r\n") {
		return
	}
	h.Del("Date")
	r := trailers.Get().(*trailer)
	r.text.Reset("Date: " + value + "\r\n\r\n")
	r.Reset(&r.text)
	_ = h.ReadTrailer(&r.Reader) // a value that can't be read isn't sent
	trailers.Put(r)
}

// trailer is a reader of a text.
type trailer struct {
	bufio.Reader
	text strings.Reader
}

var trailers = sync.Pool{New: func() any { return new(trailer) }}

// fieldLine is a line of a request's header.
type fieldLine struct{ name, value string }

// applyEdits changes a request's header, and returns a function that undoes the changes.
func applyEdits(h *fasthttp.RequestHeader, edits []httpcache.Edit) (undo func()) {
	before := make([][]fieldLine, len(edits))
	for i, e := range edits {
		var lines []fieldLine
		if e.Value != "" {
			lines = []fieldLine{{e.Name, e.Value}}
		}
		before[i] = replace(h, e.Name, lines)
	}
	return func() {
		for i, e := range edits {
			replace(h, e.Name, before[i])
		}
	}
}

// replace replaces the lines with the name, and returns the old ones. Names are spelled as by the client if the
// server is configured so.
func replace(h *fasthttp.RequestHeader, name string, lines []fieldLine) (old []fieldLine) {
	for n, value := range h.All() {
		if strings.EqualFold(string(n), name) {
			old = append(old, fieldLine{string(n), string(value)})
		}
	}
	for _, l := range old {
		h.Del(l.name)
	}
	for _, l := range lines {
		h.Add(l.name, l.value)
	}
	return old
}
