package inspect

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"
)

// handler serves the pages. All are in one folder and refer to each other by relative URLs, so that the handler needn't know where it is
// mounted. What a page is of is in the query, since the names of caches may have slashes, and keys anything.
type handler struct {
	options Options
	caches  map[string]*observed
}

//go:embed pages
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"ago": ago, "shown": shown, "percent": percent, "value": valueText, "size": size,
	"neg": func(d time.Duration) time.Duration { return -d },
	"of":  func(p *page, of any) part { return part{p.Cache, of} },
}).ParseFS(files, "pages/*.html"))

// page is what all templates get.
type page struct {
	Title    string // of all pages
	Heading  string
	Cache    string // the name; "": the page is of no cache
	Writes   bool
	Hidden   bool // values aren't shown
	Contents any
}

// part is a part of a page, for a template that links to other pages of the cache.
type part struct {
	Cache string
	Of    any
}

// newPage returns the page of a cache.
func (h *handler) newPage(heading string, o *observed, contents any) *page {
	p := &page{Title: h.options.Title, Heading: heading, Writes: h.options.AllowWrites, Hidden: h.options.HideValues, Contents: contents}
	if o != nil {
		p.Cache = o.Name()
	}
	return p
}

// show writes a page. It is made as a whole first, so that an error is no half page.
func (h *handler) show(w http.ResponseWriter, status int, name string, p *page) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, p); err != nil {
		http.Error(w, "inspect: the page can't be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // it fails if the client has disconnected
}

// refuse shows a page that says why there is no other.
func (h *handler) refuse(w http.ResponseWriter, status int, why string) {
	h.show(w, status, "refused.html", h.newPage(http.StatusText(status), nil, why))
}

// failed shows why a page can't be made: an error of the cache or of Redis.
func (h *handler) failed(w http.ResponseWriter, o *observed, err error) {
	p := h.newPage("This can't be shown", o, err.Error())
	h.show(w, http.StatusBadGateway, "refused.html", p)
}
