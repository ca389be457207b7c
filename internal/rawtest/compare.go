package rawtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compare says what is wrong with a response of the server with the cache, where the one without has another. s: what its handler
// saw; nil: that isn't known, or it saw nothing.
func (p *Pair) compare(s *observation, bare, cached response) string {
	if s != nil && bare.StatusCode == http.StatusOK && cached.StatusCode != http.StatusOK {
		return p.other(s, bare, cached)
	}
	switch {
	case cached.StatusCode != bare.StatusCode:
		return fmt.Sprintf("status %d, want %d", cached.StatusCode, bare.StatusCode)
	case cached.body != bare.body:
		return fmt.Sprintf("the body is %q, want %q", cached.body, bare.body)
	case s == nil && len(cached.Header["Cache-Status"]) > 0 && bare.StatusCode >= 400:
		return "the cache had a part in an answer to what the server refuses"
	}
	if tag := cached.Header.Get("Etag"); tag != "" && s != nil && s.Method == http.MethodGet {
		p.made[tag] = cached.body
	}
	return fields(bare, cached, true)
}

// other says what is wrong with a response of the cache's own, where the handler's is a 200.
func (p *Pair) other(s *observation, bare, cached response) string {
	whole := s.answer.Body
	get := s.Method == http.MethodGet
	if !get && s.Method != http.MethodHead {
		return fmt.Sprintf("status %d, want %d", cached.StatusCode, bare.StatusCode)
	}
	switch {
	case cached.StatusCode == http.StatusNotModified && p.notModified(s, bare, cached):
		return fields(bare, cached, false)
	case cached.StatusCode == http.StatusGatewayTimeout && says(s.Header["Cache-Control"], "only-if-cached"):
		return ""
	case cached.StatusCode == http.StatusPartialContent && get && len(s.Header["Range"]) > 0:
		var first, last, size int
		_, err := fmt.Sscanf(cached.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size)
		if err != nil || size != len(whole) || first < 0 || last < first || last >= size || cached.body != whole[first:last+1] {
			return fmt.Sprintf("%q is no part of %q", cached.body, whole)
		}
		return fields(bare, cached, false)
	case cached.StatusCode == http.StatusRequestedRangeNotSatisfiable && get && len(s.Header["Range"]) > 0 &&
		cached.Header.Get("Content-Range") == "bytes */"+strconv.Itoa(len(whole)):
		return ""
	}
	return fmt.Sprintf("status %d, want %d", cached.StatusCode, bare.StatusCode)
}

// notModified reports whether a 304 is right.
func (p *Pair) notModified(s *observation, bare, cached response) bool {
	tag := cached.Header.Get("Etag")
	if lines := s.Header["If-None-Match"]; len(lines) > 0 {
		all := strings.Join(lines, ",")
		known := bare.Header.Get("Etag") == tag || p.made[tag] == s.answer.Body
		return strings.Contains(all, "*") || known && strings.Contains(all, strings.TrimPrefix(tag, "W/"))
	}
	since, err := http.ParseTime(s.Header.Get("If-Modified-Since"))
	return err == nil && since.After(time.Now().Add(-time.Hour)) // nothing is stored for longer
}

// says reports whether a field has a directive, somehow.
func says(lines []string, directive string) bool {
	return strings.Contains(strings.ToLower(strings.Join(lines, ",")), directive)
}

// own are the fields that a cache or a server says by itself.
var own = []string{"Age", "Date", "Cache-Status", "Content-Length", "Content-Range", "Connection", "Keep-Alive"}

// fields says which of the header fields is wrong. all: none may be absent.
func fields(bare, cached response, all bool) string {
	for name, lines := range cached.Header {
		made := name == "Etag" && len(bare.Header["Etag"]) == 0
		if !slices.Contains(own, name) && !made && !slices.Equal(lines, bare.Header[name]) {
			return fmt.Sprintf("%s is %q, want %q", name, lines, bare.Header[name])
		}
	}
	for name, lines := range bare.Header {
		if all && !slices.Contains(own, name) && !slices.Equal(lines, cached.Header[name]) {
			return fmt.Sprintf("%s is %q, want %q", name, cached.Header[name], lines)
		}
	}
	if n, m := bare.Header.Get("Content-Length"), cached.Header.Get("Content-Length"); all && n != "" && m != "" && n != m {
		return fmt.Sprintf("Content-Length is %s, want %s", m, n)
	}
	return ""
}
