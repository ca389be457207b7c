package httpcache_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// profile is how a resource of the model may be cached. What its answers are made of is said in vary, byUser and byCookie.
type profile struct {
	control  string
	life     time.Duration // 0: never used again without asking
	behind   time.Duration
	ifError  time.Duration
	must     bool     // never stale
	shared   bool     // for requests with Authorization, too
	vary     []string // header fields that it depends on, and says so
	fickle   []string // the same in odd versions, if not nil
	byUser   bool     // depends on Authorization, and doesn't say so
	byCookie bool
	etag     string // a prefix; "": none
	modified bool   // has a Last-Modified
	cookie   bool   // sets a new cookie each time
}

var profiles = []profile{
	{control: "max-age=10", life: 10 * time.Second, etag: `"`, modified: true},
	{control: "max-age=10", life: 10 * time.Second, etag: `"`, vary: []string{"Accept-Language"}},
	{control: "max-age=5, stale-while-revalidate=10", life: 5 * time.Second, behind: 10 * time.Second},
	{control: "no-cache", etag: `W/"`, modified: true},
	{control: "private, max-age=60", byUser: true, byCookie: true, etag: `"`},
	{control: "max-age=20", life: 20 * time.Second, byUser: true, etag: `"`},
	{control: "public, max-age=20", life: 20 * time.Second, shared: true, vary: []string{"Cookie"}, modified: true},
	{control: "s-maxage=10, max-age=100", life: 10 * time.Second, must: true, shared: true, etag: `W/"`},
	{control: "max-age=5, stale-if-error=20", life: 5 * time.Second, ifError: 20 * time.Second, etag: `"`, modified: true},
	{control: "max-age=10", cookie: true, etag: `"`},
	{control: "no-store", byCookie: true},
	{control: "max-age=10, must-revalidate", life: 10 * time.Second, must: true, shared: true, etag: `"`, vary: []string{"X-Kind"}},
	{control: "max-age=10", life: 10 * time.Second, etag: `"`, vary: []string{"X-Kind"}, fickle: []string{"Accept-Language", "Cookie"}},
	{control: "", life: modelTTL, modified: true},
	{control: "max-age=8", life: 8 * time.Second, vary: []string{"X-Kind"}, fickle: []string{}},
}

// modelTTL is the cache's for what says nothing.
const modelTTL = 7 * time.Second

// model is an origin of versioned resources. Each version of a resource has one representation for each set of values of the
// request's fields that it depends on, and a representation says in its body what it is.
type model struct {
	mu        sync.Mutex
	resources []*resource
	down      bool
	changes   int
	serial    int
	sends     map[string]time.Time // when a representation was last sent to somebody from whom the cache may keep it
}

type resource struct {
	profile
	path    string
	version int
	gone    map[int]bool // versions that are a 404
	oldest  int          // the oldest version that the cache may still have, for it knows of the later ones
}

func (m *model) find(path string) *resource {
	i := slices.IndexFunc(m.resources, func(r *resource) bool { return r.path == path })
	return m.resources[i]
}

func (r *resource) varies(version int) []string {
	if r.fickle != nil && version%2 == 1 {
		return r.fickle
	}
	return r.vary
}

// body is the representation of a version for a request, of a length of its own.
func (r *resource) body(version int, h http.Header) string {
	b := fmt.Sprintf("%s version %d", r.path, version)
	for _, name := range r.varies(version) {
		b += fmt.Sprintf(" %s=%q", name, selected(name, h))
	}
	if r.byUser {
		b += " user=" + h.Get("Authorization")
	}
	if r.byCookie {
		b += " cookie=" + h.Get("Cookie")
	}
	return b + strings.Repeat(".", 7+version%5)
}

// selected is what counts of a field: of Accept-Language the language that is preferred, and else all.
func selected(name string, h http.Header) string {
	if name != "Accept-Language" {
		return h.Get(name)
	}
	best, most := "none", 0.0
	for item := range strings.SplitSeq(h.Get(name), ",") {
		tag, q, weighed := strings.Cut(strings.TrimSpace(item), ";q=")
		weight := 1.0
		if weighed {
			_, _ = fmt.Sscan(q, &weight)
		}
		if tag != "" && weight > most {
			best, most = tag, weight
		}
	}
	return best
}

func (r *resource) tag(version int, h http.Header) string {
	if r.etag == "" {
		return ""
	}
	return fmt.Sprintf(`%s%x"`, r.etag, r.body(version, h))
}

// date is when a version was made, as far as Last-Modified tells.
func (r *resource) date(version int) time.Time {
	if !r.modified {
		return time.Time{}
	}
	return time.Date(1999, 1, 1, 0, version, 0, 0, time.UTC)
}

// modelTime is how long an answer takes: crowds come together.
const modelTime = 10 * time.Millisecond

// ServeHTTP answers the cache.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(modelTime)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer(w, r)
	res := m.find(r.URL.Path)
	keeps := r.Method == http.MethodGet && r.Header.Get("Cache-Control") != "no-store" && r.Header.Get("If-Match") == ""
	if keeps && !m.down && (res.shared || r.Header.Get("Authorization") == "") {
		m.sends[res.body(res.version, r.Header)] = time.Now()
	}
}

// alone answers without a cache.
func (m *model) alone() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.answer(w, r)
	})
}

func (m *model) answer(w http.ResponseWriter, r *http.Request) {
	res := m.find(r.URL.Path)
	switch {
	case m.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		m.change(w, r, res)
	case res.gone[res.version]:
		http.Error(w, "gone", http.StatusNotFound)
	default:
		m.send(w, r, res)
	}
}

func (m *model) send(w http.ResponseWriter, r *http.Request, res *resource) {
	h, v := w.Header(), res.version
	body := res.body(v, r.Header)
	if names := res.varies(v); len(names) > 0 {
		h.Set("Vary", strings.Join(names, ", "))
		if slices.Contains(names, "Accept-Language") {
			h.Set("Content-Language", selected("Accept-Language", r.Header))
		}
	}
	if res.control != "" {
		h.Set("Cache-Control", res.control)
	}
	if tag := res.tag(v, r.Header); tag != "" {
		h.Set("ETag", tag)
	}
	if res.cookie {
		m.serial++
		h.Set("Set-Cookie", fmt.Sprint("serial=", m.serial))
	}
	h.Set("Content-Type", "text/plain")
	http.ServeContent(w, r, "", res.date(v), strings.NewReader(body))
}

// change makes a new version, unless it is refused. It may make one of another resource, too.
func (m *model) change(w http.ResponseWriter, r *http.Request, res *resource) {
	if r.Header.Get("X-Fail") != "" {
		http.Error(w, "refused", http.StatusConflict)
		return
	}
	m.changes++
	res.next(r.Method == http.MethodDelete)
	if other := r.Header.Get("X-Other"); other != "" {
		m.find(other).next(false)
		w.Header().Set("Location", other)
		w.WriteHeader(http.StatusCreated)
		return
	}
	if r.Method == "PUT" {
		w.WriteHeader(http.StatusNoContent)
	} // else nothing is written
}

func (r *resource) next(gone bool) {
	r.version++
	r.gone[r.version] = gone
}

// newModel has some of the profiles as its resources.
func newModel(t *testing.T, chosen []int) *model {
	t.Helper()
	m := &model{sends: make(map[string]time.Time)}
	for i, n := range chosen {
		m.resources = append(m.resources, &resource{profile: profiles[n], path: fmt.Sprint("/", i), gone: make(map[int]bool)})
	}
	return m
}
