package inspect

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tiercache/tiercache/tiered"
	"github.com/tiercache/tiercache/tiered/inspection"
)

const (
	perPage = 100 // keys or tags
	hottest = 50
	latest  = 200 // events
)

// summary is what the overview and a cache's own page show of it.
type summary struct {
	Name          string
	Stats         tiered.Stats
	Local, Remote float64 // parts of the reads since the cache was made
	Reads         uint64
	Now           *share // since the sample before; nil: there were no reads
	Chart         template.HTML
	Servers       []inspection.Server
	Loads         latencies
	Troubles      []string
}

// latencies are those of the loads that were recorded.
type latencies struct {
	N, Failed   int
	Half, Most  time.Duration // the median, and the 99th percentile
	Slowest     string        // the key of the slowest load
	SlowestTook time.Duration
}

func (o *observed) summary() *summary {
	samples := o.observe(time.Now())
	s := &summary{Name: o.Name(), Stats: o.TierStats(), Servers: o.Servers()}
	if all, ok := between(new(tiered.Stats), &s.Stats); ok {
		s.Local, s.Remote, s.Reads = all.Local, all.Remote, all.Reads
	}
	all := shares(samples)
	if len(all) > 0 {
		s.Now = &all[len(all)-1]
	}
	s.Chart = chart(all)
	s.Loads = latenciesOf(o.Events())
	s.Troubles = s.troubles()
	return s
}

// troubles says what isn't as it should be.
func (s *summary) troubles() (all []string) {
	for _, server := range s.Servers {
		if server.Err != nil {
			all = append(all, server.Err.Error())
		}
	}
	if n := s.Stats.Queued; n > 0 {
		all = append(all, fmt.Sprintf("%d writes that Redis didn't take are queued.", n))
	}
	if n := s.Stats.LoadsWaiting; n > 0 {
		all = append(all, fmt.Sprintf("%d loads wait for a permit (MaxLoads).", n))
	}
	return all
}

// latenciesOf sums up the loads among the events.
func latenciesOf(events []inspection.Event) (l latencies) {
	var took []time.Duration
	for _, e := range events {
		switch e.Kind {
		case inspection.Loaded:
			took = append(took, e.Took)
			if e.Took >= l.SlowestTook {
				l.Slowest, l.SlowestTook = e.Key, e.Took
			}
		case inspection.Failed:
			l.Failed++
		}
	}
	if l.N = len(took); l.N > 0 {
		slices.Sort(took)
		l.Half, l.Most = took[l.N/2], took[l.N*99/100]
	}
	return l
}

// overview shows all caches.
func (h *handler) overview(w http.ResponseWriter, _ *http.Request) {
	var all []*summary
	for _, c := range h.options.Caches {
		all = append(all, h.caches[c.Name()].summary())
	}
	h.show(w, http.StatusOK, "overview.html", h.newPage(h.options.Title, nil, all))
}

// cache shows one cache.
func (h *handler) cache(w http.ResponseWriter, _ *http.Request, o *observed) {
	h.show(w, http.StatusOK, "cache.html", h.newPage("Cache "+o.Name(), o, o.summary()))
}

// list is a page of keys or tags with what was asked for.
type list struct {
	inspection.Page
	Kind, Path, Of string // "Keys", the path of this list, the path of what is listed
	Prefix, Cursor string
}

func (h *handler) keys(w http.ResponseWriter, r *http.Request, o *observed) {
	l := &list{Kind: "Keys", Path: "keys", Of: "key", Prefix: r.FormValue("prefix"), Cursor: r.FormValue("cursor")}
	p, err := o.Keys(r.Context(), l.Prefix, l.Cursor, perPage)
	h.list(w, o, l, p, err)
}

func (h *handler) tags(w http.ResponseWriter, r *http.Request, o *observed) {
	l := &list{Kind: "Tags", Path: "tags", Of: "tag", Prefix: r.FormValue("prefix"), Cursor: r.FormValue("cursor")}
	p, err := o.Tags(r.Context(), l.Prefix, l.Cursor, perPage)
	h.list(w, o, l, p, err)
}

func (h *handler) list(w http.ResponseWriter, o *observed, l *list, p inspection.Page, err error) {
	if err != nil {
		h.failed(w, o, err)
		return
	}
	slices.Sort(p.Names)
	l.Page = p
	h.show(w, http.StatusOK, "list.html", h.newPage(l.Kind+" of "+o.Name(), o, l))
}

// tag shows one tag.
func (h *handler) tag(w http.ResponseWriter, r *http.Request, o *observed) {
	y, err := o.InspectTag(r.Context(), r.FormValue("tag"))
	if err != nil {
		h.failed(w, o, err)
		return
	}
	h.show(w, http.StatusOK, "tag.html", h.newPage("Tag "+shown(y.Tag), o, y))
}

// hot shows the keys that are read most.
func (h *handler) hot(w http.ResponseWriter, _ *http.Request, o *observed) {
	h.show(w, http.StatusOK, "hot.html", h.newPage("Hottest keys of "+o.Name(), o, o.HotKeys(hottest)))
}

// events shows the last misses and loads.
func (h *handler) events(w http.ResponseWriter, _ *http.Request, o *observed) {
	all := o.Events()
	h.show(w, http.StatusOK, "events.html", h.newPage("Last misses and loads of "+o.Name(), o, all[:min(len(all), latest)]))
}

// key shows what the tiers have for a key.
func (h *handler) key(w http.ResponseWriter, r *http.Request, o *observed) {
	key := r.FormValue("key")
	if key == "" {
		h.refuse(w, http.StatusBadRequest, "The key is empty. Go back and enter one.")
		return
	}
	k, err := o.Inspect(r.Context(), key)
	if err != nil {
		h.failed(w, o, err)
		return
	}
	h.show(w, http.StatusOK, "key.html", h.newPage("Key "+shown(key), o, &keyPage{Key: k, Hidden: h.options.HideValues}))
}

// Unknown reports whether neither tier has anything of the key, and no read of it was recorded: it may be misspelt.
func (k *keyPage) Unknown() bool {
	return k.Local == nil && len(k.Events) == 0 && (k.Remote == nil || k.Remote.Err == nil && !k.Remote.Exists && k.Remote.Lease == nil)
}

// keyPage is a key, with its copies in the form in which the page shows them.
type keyPage struct {
	inspection.Key
	Hidden bool
}

// copyOf is a value of either tier, and whether it is shown.
type copyOf struct {
	inspection.Copy
	Hidden bool
}

func (k *keyPage) LocalCopy() copyOf                    { return copyOf{k.Local.Copy, k.Hidden} }
func (k *keyPage) ForeignCopy() copyOf                  { return copyOf{*k.Remote.Foreign, k.Hidden} }
func (k *keyPage) FrameCopy(f inspection.Frame) copyOf  { return copyOf{f.Copy, k.Hidden} }
func (k *keyPage) SchemaText(f inspection.Frame) string { return fmt.Sprintf("%016x", f.Schema) }

// State says in a word how the copy is served.
func (c copyOf) State() string {
	switch {
	case c.Problem == "" && c.Absent:
		return "not found, remembered"
	case c.Problem == "":
		return "fresh"
	case c.Usable:
		return "stale"
	}
	return "not usable"
}

// Type is the value's type.
func (c copyOf) Type() string { return strings.TrimPrefix(fmt.Sprintf("%T", c.Value), "*") }
