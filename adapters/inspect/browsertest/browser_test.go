package browsertest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/tiercache/tiercache/internal/need"
)

// programs are the names of Chromium.
var programs = []string{"chromium", "chromium-browser", "google-chrome"}

// startBrowser starts a Chromium that ends with the test, and returns its context. If there is none, the test is skipped, and in
// CI it fails.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(need.Program(t, programs...)), chromedp.WindowSize(1200, 900), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root with it
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	browser, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	must(t, chromedp.Do(browser)) // the browser of the first context is that of all others
	return browser
}

// person uses a site in a tab of its own. They find links and buttons by their texts, and fields by their labels.
type person struct {
	*testing.T
	tab context.Context
	url string // of the site

	mu     sync.Mutex
	broken []string // what the browser complained about
}

// newPerson opens a tab, which is closed at the end of the test.
func newPerson(t *testing.T, browser context.Context, url string) *person {
	t.Helper()
	tab, leave := chromedp.NewContext(browser)
	t.Cleanup(leave)
	tab, stop := context.WithTimeout(tab, time.Minute)
	t.Cleanup(stop)
	p := &person{T: t, tab: tab, url: url}
	must(t, chromedp.Listen(tab, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && e.Entry.Source != log.EntrySourceNetwork { // a status of 403 is for the story to judge
			p.mu.Lock()
			defer p.mu.Unlock()
			p.broken = append(p.broken, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
		}
	}))
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, text := range p.broken {
			t.Errorf("the browser complains: %s", text)
		}
	})
	return p
}

// loads does the steps, which load a page, and returns the status of the response.
func (p *person) loads(steps ...chromedp.Action[chromedp.Void]) int {
	p.Helper()
	response, err := chromedp.RunResponse(p.tab, steps...)
	must(p, err)
	return int(response.Status)
}

// opens loads a page of the site by its URL.
func (p *person) opens(path string) {
	p.Helper()
	if status := p.loads(chromedp.Navigate(p.url + path)); status != http.StatusOK {
		p.Fatalf("%s: status %d: %s", path, status, p.text())
	}
}

// follows clicks on the link or the button with the text, and waits for the next page.
func (p *person) follows(text string) {
	p.Helper()
	if status := p.loads(chromedp.Click(xpath("//*[self::a or self::button][normalize-space()=%s]", text))); status != http.StatusOK {
		p.Fatalf("%q: status %d: %s", text, status, p.text())
	}
}

// enters types into the field with the label.
func (p *person) enters(label, text string) {
	p.Helper()
	must(p, chromedp.Do(p.tab, chromedp.SendKeys(xpath("//*[@id=//main//label[normalize-space()=%s]/@for]", label), text)))
}

// presses types keys, wherever the focus is.
func (p *person) presses(keys string) {
	p.Helper()
	must(p, chromedp.Do(p.tab, chromedp.KeyEvent(keys)))
}

// text returns what a person reads on the page.
func (p *person) text() string {
	p.Helper()
	return run(p, chromedp.Evaluate[string]("document.body.innerText"))
}

// reads checks that the page shows the texts.
func (p *person) reads(texts ...string) {
	p.Helper()
	page := p.text()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			p.Errorf("the page doesn't say %q:\n%s", text, page)
		}
	}
}

// doesNotRead checks that the page doesn't show the texts.
func (p *person) doesNotRead(texts ...string) {
	p.Helper()
	page := p.text()
	for _, text := range texts {
		if strings.Contains(page, text) {
			p.Errorf("the page says %q:\n%s", text, page)
		}
	}
}

// run does something in the person's tab, and returns the result.
func run[T any](p *person, action chromedp.Action[T]) T {
	p.Helper()
	result, err := chromedp.Run(p.tab, action)
	must(p, err)
	return result
}

// xpath returns a selector with a text in it that has no double quotes.
func xpath(format, text string) chromedp.Search {
	return chromedp.Search(fmt.Sprintf(format, `"`+text+`"`))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
