package rawtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compare says how the cached server's response is wrong, compared with the bare server's; "" if it isn't. s is the request that
// the handler saw, and its answer; nil if that isn't known, or no handler ran.
func (p *Pair) compare(s *observation, bare, cached response) string {
	if s != nil && bare.StatusCode == http.StatusOK && cached.StatusCode != http.StatusOK {
		return p.compareOwn(s, bare, cached)
	}
	switch {
	case cached.StatusCode != bare.StatusCode:
		return fmt.Sprintf("status %d, want %d", cached.StatusCode, bare.StatusCode)
	case cached.body != bare.body:
		return fmt.Sprintf("the body is %q, want %q", cached.body, bare.body)
	case s == nil && len(cached.Header["Cache-Status"]) > 0 && bare.StatusCode >= 400:
		return "the cache took part in the response to a request that the server refuses"
	}
	if tag := cached.Header.Get("Etag"); tag != "" && s != nil && s.Method == http.MethodGet {
		p.bodies[tag] = cached.body
	}
	return compareFields(bare, cached, true)
}

// compareOwn says how a response that the cache made itself is wrong, where the handler's is a 200.
func (p *Pair) compareOwn(s *observation, bare, cached response) string {
	whole := s.answer.Body
	get := s.Method == http.MethodGet
	if !get && s.Method != http.MethodHead {
		return fmt.Sprintf("status %d, want %d", cached.StatusCode, bare.StatusCode)
	}
	switch {
	case cached.StatusCode == http.StatusNotModified && p.notModified(s, bare, cached):
		return compareFields(bare, cached, false)
	case cached.StatusCode == http.StatusGatewayTimeout && hasDirective(s.Header["Cache-Control"], "only-if-cached"):
		return ""
	case cached.StatusCode == http.StatusPartialContent && get && len(s.Header["Range"]) > 0:
		var first, last, size int
		_, err := fmt.Sscanf(cached.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size)
		if err != nil || size != len(whole) || first < 0 || last < first || last >= size || cached.body != whole[first:last+1] {
			return fmt.Sprintf("%q isn't a part of %q", cached.body, whole)
		}
		return compareFields(bare, cached, false)
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
		known := bare.Header.Get("Etag") == tag || p.bodies[tag] == s.answer.Body
		return strings.Contains(all, "*") || known && strings.Contains(all, strings.TrimPrefix(tag, "W/"))
	}
	since, err := http.ParseTime(s.Header.Get("If-Modified-Since"))
	return err == nil && since.After(time.Now().Add(-time.Hour)) // nothing is stored for longer
}

// hasDirective reports whether the lines of a field contain a directive.
func hasDirective(lines []string, directive string) bool {
	return strings.Contains(strings.ToLower(strings.Join(lines, ",")), directive)
}

// cacheFields are the fields that a cache or a server sets itself.
var cacheFields = []string{"Age", "Date", "Cache-Status", "Content-Length", "Content-Range", "Connection", "Keep-Alive"}

// compareFields says which header field is wrong; "" if none is. With all, no field may be missing.
func compareFields(bare, cached response, all bool) string {
	for name, lines := range cached.Header {
		made := name == "Etag" && len(bare.Header["Etag"]) == 0
		if !slices.Contains(cacheFields, name) && !made && !slices.Equal(lines, bare.Header[name]) {
			return fmt.Sprintf("%s is %q, want %q", name, lines, bare.Header[name])
		}
	}
	for name, lines := range bare.Header {
		if all && !slices.Contains(cacheFields, name) && !slices.Equal(lines, cached.Header[name]) {
			return fmt.Sprintf("%s is %q, want %q", name, cached.Header[name], lines)
		}
	}
	if n, m := bare.Header.Get("Content-Length"), cached.Header.Get("Content-Length"); all && n != "" && m != "" && n != m {
		return fmt.Sprintf("Content-Length is %s, want %s", m, n)
	}
	return ""
}
