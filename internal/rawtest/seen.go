package rawtest

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Seen is what a handler sees of a request.
type Seen struct {
	Method    string
	Target    string // as it was sent
	URL       string // that the server made of it, if it says more than the path and the query
	Host      string
	HostField string // as it was sent, where that can be seen
	Path      string // decoded
	Query     string // as it was sent
	Body      string
	Header    http.Header // with canonical names
}

// Answer is a handler's answer.
type Answer struct {
	Fields [][2]string
	Body   string
}

// Resources has the versions of a handler's resources. Requests with unsafe methods increment them.
type Resources map[string]int

// Answer returns an answer that contains everything a handler sees of a request, except for differences that don't count
// (docs/http.md lists them). The target selects the header fields of the answer.
func (r Resources) Answer(s *Seen) Answer {
	resource := fmt.Sprintf("%q", []string{canonicalHost(s.Host), s.Path, canonicalQuery(s.Query)})
	method := s.Method
	switch method {
	case http.MethodHead: // like a GET
		method = http.MethodGet
	case http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPatch:
		r[resource]++
	}
	parts := []string{method, canonicalTarget(s.Target), canonicalTarget(s.URL), canonicalHost(s.Host), canonicalHost(s.HostField), s.Path, canonicalQuery(s.Query), s.Body}
	a := Answer{Fields: [][2]string{{"Content-Type", "text/plain"}, {"Cache-Control", "max-age=3600"}}}
	if strings.Contains(s.Path, "vary") {
		a.Fields = append(a.Fields, [2]string{"Vary", "X-A, X-B"})
		for _, name := range []string{"X-A", "X-B"} {
			parts = append(parts, canonicalLines(s.Header[name]))
		}
	}
	a.Body = fmt.Sprintf("%q version %d of %s", parts, r[resource], resource)
	if strings.Contains(s.Path, "tag") {
		h := fnv.New64a()
		_, _ = h.Write([]byte(a.Body))
		a.Fields = append(a.Fields, [2]string{"Etag", fmt.Sprintf(`"%x"`, h.Sum64())})
	}
	return a
}

func canonicalHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":80") }

// canonicalTarget returns a target with a canonical query and, if it is absolute, a canonical host.
func canonicalTarget(target string) string {
	rest, query, found := strings.Cut(target, "?")
	if scheme, after, ok := strings.Cut(rest, "://"); ok && !strings.Contains(scheme, "/") {
		host, path, _ := strings.Cut(after, "/")
		rest = strings.ToLower(scheme) + "://" + canonicalHost(host) + "/" + path
	}
	if query = canonicalQuery(query); found && query != "" {
		return rest + "?" + query
	}
	return rest
}

// canonicalQuery returns a query without empty parts, sorted by names, unless parsers disagree on the names.
func canonicalQuery(query string) string {
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(s string) bool { return s == "" })
	names := make(map[string]string)
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		decoded, err := url.QueryUnescape(name)
		if _, wrong := url.QueryUnescape(value); err != nil || wrong != nil || strings.Contains(part, ";") {
			return strings.Join(parts, "&")
		}
		names[part] = decoded
	}
	slices.SortStableFunc(parts, func(a, b string) int { return strings.Compare(names[a], names[b]) })
	return strings.Join(parts, "&")
}

// canonicalLines returns the lines of a field as one line, without whitespace around commas (RFC 9110, section 5.3).
func canonicalLines(lines []string) string {
	if len(lines) == 0 {
		return "absent"
	}
	items := strings.Split(strings.Join(lines, ","), ",")
	for i := range items {
		items[i] = strings.Trim(items[i], " \t")
	}
	return ":" + strings.Join(items, ",")
}
