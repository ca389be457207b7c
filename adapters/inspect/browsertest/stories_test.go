package browsertest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/adapters/inspect"
	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) {
	redistest.Parallel(4)
	goleak.VerifyTestMain(m)
}

// TestStories has what people come to the pages for. Each story begins at the first page, or with a link that somebody got, and
// follows what is to be read.
func TestStories(t *testing.T) {
	browser := startBrowser(t)
	for name, story := range map[string]func(t *testing.T, browser context.Context){
		"I find why a key is stale, and purge it":             whyStale,
		"I find which source fails":                           whySourceFails,
		"I misspelt a key, and find the one I meant":          misspeltKey,
		"I see how often each tier answers":                   hitRatios,
		"I find a key among many by its beginning":            findKey,
		"I purge all values with a tag":                       purgeTag,
		"I look at a response of the HTTP cache":              httpResponse,
		"I see that Redis is down, and what that means":       redisDown,
		"My colleagues can look, and delete nothing":          readOnly,
		"Strangers see nothing":                               strangers,
		"Secrets in values aren't shown":                      hiddenValues,
		"Another site can't make my browser delete":           otherSites,
		"A key that somebody else chose can't attack me":      hostileKey,
		"I use only the keyboard":                             keyboardOnly,
		"I change my mind before I delete, and nothing is so": changeOfMind,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, browser)
		})
	}
}

func whyStale(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	s.set(t, "42", "team:7")
	must(t, s.users.ExpireTags(t.Context(), "team:7"))
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.reads("Why is a key stale or missing?")
	p.enters("Key", "42")
	p.follows("Explain")
	p.reads("A read now: miss", `its tag "team:7" was expired (ExpireTags)`, "the stale value is served (StaleIfError)")
	p.follows("Delete this key…")
	p.reads("Delete the key 42", "This deletes it from Redis and from the memory of all processes.")
	if !s.has("42") {
		t.Fatal("the question alone has deleted the key")
	}
	p.follows("Delete")
	p.reads("Done.")
	if s.has("42") {
		t.Error("the key is still there")
	}
	p.follows("Look at the key")
	p.reads("There is nothing under the key")
}

func whySourceFails(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	p := newPerson(t, browser, s.url)
	s.set(t, "42")
	p.opens("") // from now on failures are recorded
	must(t, s.users.Expire(t.Context(), "42"))
	s.read(t, "42", errors.New("connection refused by db-3"))
	p.follows("users")
	p.follows("Misses and loads")
	p.reads("failed", "connection refused by db-3", "expired (Expire, ExpireTags or ExpireAll)")
	p.follows("42")
	p.reads("The last load failed", "connection refused by db-3")
	p.follows("Delete this key…")
	p.reads("The last load failed at", "connection refused by db-3. If the next one fails too, its callers get the error.")
}

func misspeltKey(t *testing.T, browser context.Context) {
	s := newSite(t, inspect.Options{}, "account:17")
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.enters("Key", "account")
	p.follows("Explain")
	p.reads("A read now: miss", "Nothing at all is known of this key.")
	p.follows("Keys that begin with it")
	p.follows("account:17")
	p.doesNotRead("Nothing at all is known")
}

func hitRatios(t *testing.T, browser context.Context) {
	s := newSite(t, inspect.Options{}, "42")
	s.warm(t, "42")
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.reads("Hits, local tier", "Hits, Redis", "Misses")
	observe.Until(t, "a second sample", func() bool {
		for range 100 {
			s.read(t, "42", nil)
		}
		p.opens("cache?c=users")
		return run(p, chromedp.Evaluate[bool]("document.querySelector('svg') != null"))
	})
	label := run(p, chromedp.Evaluate[string]("document.querySelector('svg').getAttribute('aria-label')"))
	if !strings.Contains(label, "Now: 100.0 % from the local tier, 0.0 % from Redis.") {
		t.Errorf("the picture's text is %q", label)
	}
	p.reads("the local tier answered 100.0 % and Redis 0.0 %")
}

func findKey(t *testing.T, browser context.Context) {
	s := newSite(t, inspect.Options{})
	values := make(map[string]user)
	for i := range 400 {
		values[fmt.Sprintf("account:%03d", i)] = user{i, "Ada"}
		values[fmt.Sprintf("basket:%03d", i)] = user{i, "Bea"}
	}
	must(t, s.users.SetMany(t.Context(), values))
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.follows("users")
	p.follows("Keys")
	p.enters("Keys that begin with", "account:1")
	p.follows("List")
	seen := make(map[string]bool)
	for {
		p.doesNotRead("basket", "account:2")
		for _, key := range run(p, chromedp.Evaluate[[]string]("[...document.querySelectorAll('.names a')].map(a => a.innerText)")) {
			seen[key] = true
		}
		if strings.Contains(p.text(), "This is the last page.") {
			break
		}
		p.follows("Next page")
	}
	if len(seen) != 100 || !seen["account:142"] {
		t.Errorf("%d keys are listed: %v", len(seen), seen)
	}
	p.enters("Keys that begin with", kb.End+"42") // behind the account:1 that is there
	p.follows("List")
	p.follows("account:142")
	p.reads("A read now: hit", `"ID": 142`, `"Name": "Ada"`)
}

func purgeTag(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	s.set(t, "1", "team:7")
	s.set(t, "2", "team:7")
	s.set(t, "3", "team:8")
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.follows("users")
	p.follows("Tags")
	p.follows("team:7")
	p.follows("Delete all values with this tag…")
	p.reads("Delete all values with the tag team:7")
	p.follows("Delete")
	p.reads("Done.")
	for key, want := range map[string]string{"1": "A read now: miss", "2": "A read now: miss", "3": "A read now: hit"} {
		p.opens("key?c=users&key=" + key)
		p.reads(want)
	}
}

func httpResponse(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	h := s.pages.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<h2>The menu of today</h2>")
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://example.com/menu?day=1", nil))
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.follows("pages")
	p.follows("Keys")
	key := run(p, chromedp.Evaluate[string]("document.querySelector('.names a').innerText"))
	if !strings.Contains(key, "/menu") {
		t.Fatalf("the key is %q", key)
	}
	p.follows(key)
	p.reads("A read now: hit", `"Status": 200`, "<h2>The menu of today</h2>")
}

func redisDown(t *testing.T, browser context.Context) {
	s := newSite(t, writable, "42")
	s.warm(t, "42")
	s.redis.Kill()
	p := newPerson(t, browser, s.url)
	observe.Until(t, "the pages to say so", func() bool {
		p.opens("cache?c=users")
		return strings.Contains(p.text(), "may be missed") && strings.Contains(p.text(), "The breaker is open")
	})
	p.opens("key?c=users&key=42")
	p.reads("Redis can't be read", "so this process serves its copy unverified", "It can’t be read")
	p.follows("Delete this key…")
	if status := p.loads(chromedp.Click(xpath("//button[.=%s]", "Delete"))); status != http.StatusBadGateway {
		t.Errorf("status %d", status)
	}
	p.reads("it is queued and done when Redis answers")
	p.follows("users")
	p.reads("1 writes that Redis didn't take are queued")
}

func readOnly(t *testing.T, browser context.Context) {
	s := newSite(t, inspect.Options{})
	s.set(t, "42", "team:7")
	p := newPerson(t, browser, s.url)
	for _, page := range []string{"", "cache?c=users", "keys?c=users", "key?c=users&key=42", "tags?c=users", "tag?c=users&tag=team:7", "hot?c=users", "events?c=users"} {
		p.opens(page)
		p.reads("These pages are read-only.")
		p.doesNotRead("Delete")
	}
	for _, what := range []string{"key&name=42", "tag&name=team:7", "all"} {
		if status := p.loads(chromedp.Navigate(s.url + "purge?c=users&what=" + what)); status != http.StatusForbidden {
			t.Errorf("%s: status %d: %s", what, status, p.text())
		}
		p.reads("These pages are read-only: Options.AllowWrites isn't set.")
	}
}

func strangers(t *testing.T, browser context.Context) {
	s := newSite(t, inspect.Options{AllowWrites: true, Authorize: nobody})
	s.set(t, "42", "team:7")
	p := newPerson(t, browser, s.url)
	for _, page := range []string{"", "cache?c=users", "keys?c=users", "key?c=users&key=42", "purge?c=users&what=all", "nothing"} {
		if status := p.loads(chromedp.Navigate(s.url + page)); status != http.StatusForbidden {
			t.Errorf("%s: status %d", page, status)
		}
		p.reads("You may not see this page.")
		p.doesNotRead("Ada", "team:7", "vault", "Delete", "users")
	}
}

func hiddenValues(t *testing.T, browser context.Context) {
	s := newSite(t, inspect.Options{HideValues: true}, "42")
	s.warm(t, "42")
	p := newPerson(t, browser, s.url)
	p.opens("key?c=users&key=42")
	p.reads("A read now: hit", "The value, a browsertest_test.user, is hidden.", "Values are hidden.")
	p.doesNotRead("Ada")
	if source := run(p, chromedp.Evaluate[string]("document.documentElement.outerHTML")); strings.Contains(source, "Ada") {
		t.Error("the value is in the page's source")
	}
}

func otherSites(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	s.set(t, "42")
	for _, host := range []string{"localhost", "127.0.0.1"} { // another site, and another origin of the same site
		p := newPerson(t, browser, s.rivalSite(t, host, "42"))
		p.opens("")
		if status := p.loads(chromedp.Click(xpath("//button[.=%s]", "Win a prize"))); status != http.StatusForbidden {
			t.Errorf("from %s: status %d: %s", host, status, p.text())
		}
		if !s.has("42") {
			t.Fatalf("a page of %s has deleted the key", host)
		}
	}
}

func hostileKey(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	for _, key := range []string{`<script>document.title="taken"</script>`, `'><img src=x onerror='document.title="taken"'>`, `javascript:document.title="taken"`} {
		must(t, s.users.Set(t.Context(), key, user{42, "<script>document.title='taken'</script>"}, key))
	}
	p := newPerson(t, browser, s.url)
	for _, page := range []string{"keys?c=users", "tags?c=users"} {
		for i := range 3 {
			p.opens(page)
			p.loads(chromedp.Click(chromedp.CSS(fmt.Sprintf(".names li:nth-child(%d) a", i+1))))
			if title := run(p, chromedp.Title()); strings.HasPrefix(title, "taken") {
				t.Errorf("%s, %d: a script has run", page, i)
			}
		}
	}
}

func changeOfMind(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	s.set(t, "42")
	p := newPerson(t, browser, s.url)
	p.opens("key?c=users&key=42")
	p.follows("Delete this key…")
	p.follows("Cancel")
	p.reads("A read now: hit")
	p.follows("users")
	p.follows("Delete everything in users…")
	p.reads("Delete everything in users")
	p.follows("Cancel")
	p.reads("Cache users")
	if !s.has("42") {
		t.Error("the key was deleted")
	}
}

// focus is what the keyboard acts on.
type focus struct {
	Text    string
	Visible bool // it is in the window, and has an outline
}

const focused = `(() => {
	const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e)
	return {Text: (e.labels && e.labels.length ? e.labels[0].innerText : e.innerText).trim(),
		Visible: box.width > 0 && box.left >= 0 && box.right <= innerWidth && style.outlineStyle != 'none' && parseFloat(style.outlineWidth) >= 2}
})()`

// tabs moves the focus forward until it is on the link, button or field with the text. Each place it passes must show that it has
// the focus.
func (p *person) tabs(text string) {
	p.Helper()
	for range 40 {
		p.presses(kb.Tab)
		at := run(p, chromedp.Evaluate[focus](focused))
		if !at.Visible {
			p.Errorf("the focus isn't visible at %q", at.Text)
		}
		if at.Text == text {
			return
		}
	}
	p.Fatalf("the focus doesn't reach %q", text)
}

func keyboardOnly(t *testing.T, browser context.Context) {
	s := newSite(t, writable)
	s.set(t, "42")
	p := newPerson(t, browser, s.url)
	p.opens("")
	p.tabs("Skip to the contents")
	p.presses(kb.Enter)
	p.tabs("Cache")
	p.presses(kb.ArrowDown) // to pages
	p.presses(kb.ArrowUp)
	p.tabs("Key")
	p.presses("42")
	p.loads(chromedp.KeyEvent(kb.Enter))
	p.reads("Key 42", "A read now: hit")
	p.tabs("Delete this key…")
	p.loads(chromedp.KeyEvent(kb.Enter))
	p.tabs("Delete")
	p.loads(chromedp.KeyEvent(kb.Enter))
	p.reads("Done.")
	if s.has("42") {
		t.Error("the key is still there")
	}
}
