package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/adapters/inspect"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

func TestMain(m *testing.M) {
	redistest.Parallel(4)
	goleak.VerifyTestMain(m)
}

type user struct {
	ID   int
	Name string
}

// site is a handler that is mounted under a path, with the caches that it shows.
type site struct {
	handler http.Handler
	users   *tiered.Cache[user]
	pages   *httpcache.Cache
}

// everybody is an Authorize that allows all.
func everybody(*http.Request) error { return nil }

func newSite(t testing.TB, client redis.UniversalClient, o inspect.Options) *site {
	t.Helper()
	r, err := tiered.NewRedis(client, tiered.RedisOptions{Timeout: 5 * time.Second})
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	s := new(site)
	s.users, err = tiered.New(tiered.Options[user]{Name: "users/v1", Redis: r, Policy: tiered.Policy{TTL: time.Hour, StaleIfError: time.Hour}})
	must(t, err)
	t.Cleanup(func() { _ = s.users.Close() })
	s.pages, err = httpcache.New(httpcache.Options{Name: "pages", Redis: r, TTL: time.Hour})
	must(t, err)
	t.Cleanup(func() { _ = s.pages.Close() })
	o.Caches = []inspect.Cache{s.users, s.pages}
	h, err := inspect.New(o)
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle("/debug/cache/", http.StripPrefix("/debug/cache", h))
	s.handler = mux
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do sends a request to the handler, and returns the response with its body as text.
func (s *site) do(r *http.Request) (*http.Response, string) {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	return w.Result(), html.UnescapeString(string(body))
}

// get asks for a page of the cache users/v1.
func (s *site) get(t testing.TB, page string, query ...string) string {
	t.Helper()
	response, body := s.do(httptest.NewRequest("GET", address(page, query...), nil))
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d: %s", page, response.StatusCode, body)
	}
	if csp := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("%s: the policy is %q", page, csp)
	}
	return body
}

func address(page string, query ...string) string {
	q := url.Values{"c": {"users/v1"}}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return "http://localhost/debug/cache/" + page + "?" + q.Encode()
}

// has checks that a page has the texts.
func has(t testing.TB, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page has no %q:\n%s", text, page)
		}
	}
}

// post sends the form that deletes something, as a browser does from a page of the site.
func (s *site) post(what, name string, header ...string) (*http.Response, string) {
	form := url.Values{"c": {"users/v1"}, "what": {what}, "name": {name}}
	r := httptest.NewRequest("POST", "http://localhost/debug/cache/purge", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Start(t).Client(t), inspect.Options{Title: "Our <caches>"})
	must(t, s.users.Set(t.Context(), "42", user{42, "Ada"}, "team:7"))
	observe.Until(t, "a local hit", func() bool {
		_, err := s.users.Get(t.Context(), "42")
		return err == nil && s.users.Stats().LocalHits > 0 && s.users.Stats().Invalidations > 2
	})
	has(t, s.get(t, ""), "Our <caches>", "users/v1", "pages", "read-only")
	has(t, s.get(t, "cache"), "Cache users/v1", "arrive", "old, holds for", "The breaker is closed")
	has(t, s.get(t, "keys", "prefix", "4"), `>42</a>`, "This is the last page")
	has(t, s.get(t, "key", "key", "42"), "A read now: hit", `"Name": "Ada"`, "team:7", "Codec json", "The value of this release", "Redis drops them in")
	has(t, s.get(t, "tags"), `>team:7</a>`)
	has(t, s.get(t, "tag", "tag", "team:7"), "The count is now", "Record kept for")
	has(t, s.get(t, "events"), "Misses and loads")
	has(t, s.get(t, "style.css"), ":focus-visible")
	if strings.Contains(s.get(t, "key", "key", "42"), "Delete") {
		t.Error("a read-only page offers to delete")
	}
}

// The ten-second version of a person's question: why is this key stale? They look it up, read the reason, and delete it.
func TestWhyStaleAndPurge(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSite(t, server.Client(t), inspect.Options{AllowWrites: true, Authorize: everybody})
	must(t, s.users.Set(t.Context(), "42", user{42, "Ada"}, "team:7"))
	must(t, s.users.ExpireTags(t.Context(), "team:7"))
	has(t, s.get(t, "key", "key", "42"), "A read now: miss", `its tag "team:7" was expired (ExpireTags)`, "Delete this key…")
	has(t, s.get(t, "purge", "what", "key", "name", "42"), "Delete the key 42", `method="post"`)
	if n := server.Do("exists", "tc:users/v1:42"); n != int64(1) {
		t.Fatal("the question alone has deleted it")
	}
	if response, body := s.post("key", "42"); response.StatusCode != http.StatusOK || !strings.Contains(body, "Done.") {
		t.Fatalf("%d: %s", response.StatusCode, body)
	}
	if n := server.Do("exists", "tc:users/v1:42"); n != int64(0) {
		t.Error("the key is still in Redis")
	}
	has(t, s.get(t, "key", "key", "42"), "There is nothing under the key")
}

func TestPurgeTagAndAll(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Start(t).Client(t), inspect.Options{AllowWrites: true, Authorize: everybody})
	for what, heading := range map[string]string{"tag": "Delete all values with the tag team:7", "all": "Delete everything in users/v1"} {
		must(t, s.users.Set(t.Context(), "42", user{42, "Ada"}, "team:7"))
		has(t, s.get(t, "purge", "what", what, "name", "team:7"), heading, "This deletes it from Redis")
		if response, body := s.post(what, "team:7"); response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d: %s", what, response.StatusCode, body)
		}
		if _, err := s.users.Get(t.Context(), "42"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%s: the value is still served: %v", what, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	writes := newSite(t, client, inspect.Options{AllowWrites: true, Authorize: func(r *http.Request) error {
		if r.Header.Get("Authorization") != "let me in" {
			return errors.New("the secret of the vault is 1234")
		}
		return nil
	}})
	reads := newSite(t, client, inspect.Options{})
	must(t, writes.users.Set(t.Context(), "42", user{42, "Ada"}))
	get := func(s *site, page string, query ...string) (*http.Response, string) {
		return s.do(httptest.NewRequest("GET", address(page, query...), nil))
	}
	for name, c := range map[string]struct {
		do     func() (*http.Response, string)
		status int
	}{
		"unauthorized page":  {func() (*http.Response, string) { return get(writes, "key", "key", "42") }, 403},
		"unauthorized style": {func() (*http.Response, string) { return get(writes, "style.css") }, 200}, // of the page that refuses
		"unauthorized purge": {func() (*http.Response, string) { return writes.post("key", "42") }, 403},
		"read-only purge":    {func() (*http.Response, string) { return reads.post("key", "42") }, 403},
		"read-only question": {func() (*http.Response, string) { return get(reads, "purge", "what", "all") }, 403},
		"from another site": {func() (*http.Response, string) {
			return writes.post("key", "42", "Authorization", "let me in", "Sec-Fetch-Site", "cross-site")
		}, 403},
		"from another origin": {func() (*http.Response, string) {
			return writes.post("key", "42", "Authorization", "let me in", "Sec-Fetch-Site", "", "Origin", "http://evil.example")
		}, 403},
		"nothing named":       {func() (*http.Response, string) { return writes.post("key", "", "Authorization", "let me in") }, 400},
		"something unknown":   {func() (*http.Response, string) { return writes.post("disk", "x", "Authorization", "let me in") }, 400},
		"purge by GET":        {func() (*http.Response, string) { return get(reads, "purge", "what", "key", "name", "42") }, 403},
		"an unknown cache":    {func() (*http.Response, string) { return get(reads, "keys", "c", "nobody") }, 404},
		"an unknown page":     {func() (*http.Response, string) { return get(reads, "nothing") }, 404},
		"an empty key":        {func() (*http.Response, string) { return get(reads, "key") }, 400},
		"a cursor of nothing": {func() (*http.Response, string) { return get(reads, "keys", "cursor", "<b>") }, 502},
	} {
		response, body := c.do()
		if response.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", name, response.StatusCode, c.status)
		}
		if strings.Contains(body, "vault") || strings.Contains(body, "Ada") {
			t.Errorf("%s: the page tells too much: %s", name, body)
		}
	}
	if _, err := writes.users.Get(t.Context(), "42"); err != nil {
		t.Error("a refused request has deleted the key")
	}
}

func TestHiddenValues(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Start(t).Client(t), inspect.Options{HideValues: true})
	must(t, s.users.Set(t.Context(), "42", user{42, "Ada"}))
	page := s.get(t, "key", "key", "42")
	has(t, page, "A read now: hit", "is hidden", "inspect_test.user")
	if strings.Contains(page, "Ada") {
		t.Errorf("the value is on the page: %s", page)
	}
}

// Keys may have any bytes. They are shown so that nothing of them is markup, and the links lead to them.
func TestStrangeKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Start(t).Client(t), inspect.Options{AllowWrites: true, Authorize: everybody})
	for i, key := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "a\x00b\nc", "100% & más+eins=2#top?", strings.Repeat("k", 1000), "\xff\xfe", "../../etc", " ",
	} {
		must(t, s.users.Set(t.Context(), key, user{i, "<b>Ada</b>"}, "t"+key[:min(len(key), 50)]))
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", address("key", "key", key), nil))
		if body := w.Body.String(); w.Code != 200 || strings.Contains(body, "<script>") || strings.Contains(body, "<img") || strings.Contains(body, "<b>") || !strings.Contains(body, fmt.Sprintf(`ID&#34;: %d`, i)) {
			t.Errorf("%q: %d\n%s", key, w.Code, body)
		}
		w = httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", address("keys", "prefix", key), nil))
		if !slices.Contains(listed(w.Body.String()), key) {
			t.Errorf("%q isn't listed:\n%s", key, w.Body)
		}
		if response, body := s.post("key", key); response.StatusCode != 200 {
			t.Errorf("%q isn't deleted: %s", key, body)
		}
		if _, err := s.users.Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%q is still there: %v", key, err)
		}
	}
}

// links are those of a list to its keys.
var links = regexp.MustCompile(`<li><a href="key\?([^"]*)"`)

// listed returns the keys to which a list links.
func listed(page string) (keys []string) {
	for _, link := range links.FindAllStringSubmatch(page, -1) {
		if query, err := url.ParseQuery(html.UnescapeString(link[1])); err == nil {
			keys = append(keys, query.Get("key"))
		}
	}
	return keys
}

func TestHTTPResponses(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Start(t).Client(t), inspect.Options{AllowWrites: true, Authorize: everybody})
	runs := 0
	h := s.pages.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		w.Header().Set("X-Run", fmt.Sprint(runs))
		_, _ = io.WriteString(w, "hello <world>")
	}))
	read := func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://example.com/a?b=c", nil))
	}
	read()
	list := s.get(t, "keys", "c", "pages")
	_, rest, _ := strings.Cut(list, `href="key?c=pages&key=`)
	link, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatal(list)
	}
	key, err := url.QueryUnescape(link)
	must(t, err)
	has(t, s.get(t, "key", "c", "pages", "key", key), `"Status": 200`, `"X-Run"`, "hello <world>")
	form := url.Values{"c": {"pages"}, "what": {"key"}, "name": {key}}
	r := httptest.NewRequest("POST", "http://localhost/debug/cache/purge", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if response, body := s.do(r); response.StatusCode != 200 {
		t.Fatal(body)
	}
	if read(); runs != 2 {
		t.Errorf("the handler ran %d times, want 2", runs)
	}
}

func TestRedisDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSite(t, server.Client(t), inspect.Options{AllowWrites: true, Authorize: everybody})
	must(t, s.users.Set(t.Context(), "42", user{42, "Ada"}))
	server.Kill()
	observe.Until(t, "the pages to tell", func() bool { return strings.Contains(s.get(t, "cache"), "may be missed") })
	has(t, s.get(t, "key", "key", "42"), "It can’t be read")
	if response, body := s.post("key", "42"); response.StatusCode != http.StatusBadGateway || !strings.Contains(body, "queued") {
		t.Errorf("%d: %s", response.StatusCode, body)
	}
	has(t, s.get(t, "cache"), "writes that Redis didn't take are queued")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.StartCluster(t).Client(t), inspect.Options{})
	for i := range 20 {
		observe.Until(t, "a write", func() bool { return s.users.Set(context.Background(), fmt.Sprint("k", i), user{ID: i}) == nil })
	}
	list := s.get(t, "keys", "prefix", "k")
	for i := range 20 {
		has(t, list, fmt.Sprintf(">k%d</a>", i))
	}
	if n := strings.Count(s.get(t, "cache"), `<span class="good">arrive</span>`); n != 3 {
		t.Errorf("%d servers, want 3", n)
	}
}

func TestRatiosOverTime(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Start(t).Client(t), inspect.Options{})
	must(t, s.users.Set(t.Context(), "42", user{42, "Ada"}))
	observe.Until(t, "a chart", func() bool {
		for _, key := range []string{"42", "42", "42", "43"} {
			_, _ = s.users.Get(t.Context(), key)
		}
		return strings.Contains(s.get(t, "cache"), `role="img" aria-label="Hit ratio over the last`)
	})
}

func TestOptions(t *testing.T) {
	c, err := tiered.New(tiered.Options[user]{Name: "users"})
	must(t, err)
	defer c.Close()
	for _, test := range []struct {
		o    inspect.Options
		want string
	}{
		{inspect.Options{}, "Options.Caches"},
		{inspect.Options{Caches: []inspect.Cache{nil}}, "Options.Caches[0]"},
		{inspect.Options{Caches: []inspect.Cache{c, c}}, `two caches named "users"`},
		{inspect.Options{Caches: []inspect.Cache{c}, AllowWrites: true}, "Authorize"},
	} {
		if _, err := inspect.New(test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want an error with %q", err, test.want)
		}
	}
}
