package browsertest_test

import (
	"bytes"
	"errors"
	"flag"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/tiercache/tiercache/internal/observe"
)

// allPages are the pages of a site that show what there is to show.
var allPages = []string{
	"", "cache?c=users", "keys?c=users", "key?c=users&key=42", "key?c=users&key=user:17", "key?c=users&key=none", "tags?c=users", "tag?c=users&tag=team:7",
	"hot?c=users", "events?c=users", "purge?c=users&what=key&name=42",
}

var errDown = errors.New("dial tcp 10.0.0.3:5432: connection refused")

// newShowroom returns a site whose pages have all their parts.
func newShowroom(t *testing.T) *site {
	t.Helper()
	s := newSite(t, writable)
	s.users.Events()
	s.users.HotKeys(0)
	s.set(t, "42", "team:7", "admins")
	s.set(t, "user:17", "team:8")
	must(t, s.users.ExpireTags(t.Context(), "team:8"))
	s.read(t, "user:17", errDown)
	s.warm(t, "42")
	s.warm(t, "other")
	return s
}

// contrasts are the texts of a page whose contrast is less than 4.5, which WCAG 2.2 (1.4.3) asks for, and the graphics with less
// than 3 (1.4.11).
const contrasts = `(() => {
	const channels = c => c.match(/[\d.]+/g).map(Number)
	const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
	const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
	const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05) }
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = channels(getComputedStyle(e).backgroundColor)
			if (c.length < 4 || c[3] == 1) return c
		}
		return [NaN, NaN, NaN] // nothing is behind, and the comparison fails
	}
	const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
	let n = 0
	while (texts.nextNode()) {
		const text = texts.currentNode.nodeValue.trim(), e = texts.currentNode.parentElement
		if (!text || !e.checkVisibility()) continue
		n++
		const r = ratio(channels(getComputedStyle(e).color), behind(e))
		if (!(r >= 4.5)) found.push(text.slice(0, 40) + ": " + r.toFixed(2))
	}
	for (const e of document.querySelectorAll('svg polygon')) {
		const r = ratio(channels(getComputedStyle(e).fill), behind(e.parentElement))
		if (!(r >= 3)) found.push("the picture: " + r.toFixed(2))
	}
	for (const e of document.querySelectorAll('input:not([type=hidden]), select, button')) {
		const r = ratio(channels(getComputedStyle(e).borderTopColor), behind(e.parentElement))
		if (!(r >= 3)) found.push("the border of " + e.outerHTML.slice(0, 40) + ": " + r.toFixed(2))
	}
	if (n < 5) found.push("only " + n + " texts")
	return found
})()`

// structure are the faults of a page's structure, for those who don't see it.
const structure = `(() => {
	const found = [], all = s => [...document.querySelectorAll(s)]
	const want = (ok, fault) => { if (!ok) found.push(fault) }
	want(document.documentElement.lang == 'en', 'no language')
	want(document.title.length > 0, 'no title')
	want(all('h1').length == 1, all('h1').length + ' headings of the first level')
	want(all('main').length == 1 && all('nav').length == 1, 'no main part, or no navigation')
	const levels = all('h1, h2, h3, h4').map(h => Number(h.tagName[1]))
	want(levels.every((l, i) => i == 0 || l <= levels[i - 1] + 1), 'levels of headings are left out: ' + levels)
	want(all('table').every(t => t.caption && t.querySelector('th[scope=col]')), 'a table has no caption, or no heads')
	const ids = all('[id]').map(e => e.id)
	want(new Set(ids).size == ids.length, 'an id is used twice: ' + ids)
	want(all('[aria-labelledby]').every(e => document.getElementById(e.getAttribute('aria-labelledby'))), 'a label is missing')
	want(all('script, [onclick], [style]').length == 0, 'a script or a style in the page')
	want(all('[src], link').every(e => new URL(e.src || e.href).origin == location.origin), 'something is loaded from elsewhere')
	return found
})()`

// Everybody can use each page: its texts can be read in light and dark colours, its parts have names for a screen reader, and a
// phone needs no sideways scrolling.
func TestLooks(t *testing.T) {
	browser := startBrowser(t)
	s := newShowroom(t)
	p := newPerson(t, browser, s.url)
	observe.Until(t, "a picture", func() bool {
		s.read(t, "42", nil)
		p.opens("")
		return run(p, chromedp.Evaluate[bool]("document.querySelector('svg') != null"))
	})
	for _, page := range allPages {
		p.opens(page)
		p.checkNames(page)
		p.checks(page, structure)
		for _, scheme := range []string{"dark", "light"} {
			p.sees(scheme)
			p.checks(page+", "+scheme, contrasts)
		}
		must(t, chromedp.Do(p.tab, chromedp.EmulateViewport(360, 740))) // a phone's
		if wide := run(p, chromedp.Evaluate[int]("document.documentElement.scrollWidth")); wide > 360 {
			t.Errorf("%s is %d wide on a phone", page, wide)
		}
		must(t, chromedp.Do(p.tab, chromedp.EmulateViewport(1000, 700)))
	}
	takePicture(p, s)
}

// checks runs a script that returns the faults of a page.
func (p *person) checks(page, script string) {
	p.Helper()
	for _, fault := range run(p, chromedp.Evaluate[[]string](script)) {
		p.Errorf("%s: %s", page, fault)
	}
}

// sees sets the colours that the person has chosen in the browser.
func (p *person) sees(scheme string) {
	p.Helper()
	choice := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme}
	_, err := chromedp.Call(p.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{choice}})
	must(p, err)
}

// checkNames checks that the accessibility tree, which screen readers read, has a name for everything that one can use.
func (p *person) checkNames(page string) {
	p.Helper()
	tree, err := chromedp.Call(p.tab, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	must(p, err)
	used := 0
	for _, node := range tree.Nodes {
		if node.Ignored || node.Role == nil || !slices.Contains([]string{`"link"`, `"button"`, `"textbox"`, `"combobox"`, `"image"`, `"table"`, `"form"`, `"search"`, `"navigation"`}, string(node.Role.Value)) {
			continue
		}
		used++
		if node.Name == nil || string(node.Name.Value) == `""` {
			p.Errorf("%s: a %s has no name", page, node.Role.Value)
		}
	}
	if used < 3 {
		p.Errorf("%s: only %d things to use", page, used)
	}
}

var screenshot = flag.String("inspect.picture", "", "the PNG file to which TestLooks writes the picture of the docs; empty: none")

// takePicture takes the picture of docs/inspect.md, which shows a page with its answer.
func takePicture(p *person, s *site) {
	observe.Until(p, "the stale value to be served", func() bool { // a report of the cache's own write or lease lets the next call load again
		s.read(p.T, "user:17", errDown)
		p.opens("key?c=users&key=user:17")
		return strings.Contains(p.text(), "A read now: stale")
	})
	p.reads(`its tag "team:8" was expired (ExpireTags)`, errDown.Error())
	picture := run(p, chromedp.CaptureScreenshot())
	shown, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil || shown.Width != 1000 || shown.Height != 700 {
		p.Errorf("a picture of %d times %d: %v", shown.Width, shown.Height, err)
	}
	if *screenshot != "" {
		must(p, os.WriteFile(*screenshot, picture, 0o644))
	}
}
