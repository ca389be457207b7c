package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/examples/internal/userdb"
	"github.com/tiercache/tiercache/tiered"
)

// demo requests pages of the list from a server of its own and measures how long that takes.
type demo struct {
	db      *userdb.DB
	service *Service
	redis   *tiered.Redis
	samples int

	current atomic.Pointer[http.Handler] // the handler with the current cache
	client  http.Client
	server  string // its URL
}

// way is one of the ways in which a request may be answered.
type way struct {
	name        string
	noStore     bool   // the request bypasses the cache
	conditional bool   // the request has the ETag of the client's copy
	empty       bool   // each sample has a new cache, whose local tier is empty
	want        counts // how the cache's counters must change with each sample
}

var ways = []way{
	{name: "no cache", noStore: true, want: counts{bypassed: 1}},
	{name: "Redis hit", empty: true, want: counts{remoteHits: 1}},
	{name: "local hit", want: counts{localHits: 1}},
	{name: "304", conditional: true, want: counts{localHits: 1, notModified: 1}},
}

const maxDetours = 10

var errOtherWay = errors.New("the response came another way")

// counts are the changes of the cache's counters by one response.
type counts struct{ bypassed, remoteHits, localHits, notModified uint64 }

// measured is the result for one way: the median time, and the length of the body.
type measured struct {
	way  string
	time time.Duration
	body int64
}

// runDemo measures a long page and a short page, and writes a table for each.
func runDemo(ctx context.Context, out io.Writer, d *demo) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			(*d.current.Load()).ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 5 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		d.client.CloseIdleConnections()
		err = errors.Join(err, server.Close())
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	d.server = "http://" + listener.Addr().String()
	d.client.Transport = &http.Transport{DisableCompression: true}

	for _, p := range []userdb.Page{{Limit: 20_000}, {Limit: 20}} {
		rows, err := d.page(ctx, p)
		if err != nil {
			return fmt.Errorf("the demo: %w", err)
		}
		writeTable(out, p, rows)
	}
	writeNotes(out, d.samples)
	return nil
}

// page measures every way to one page.
func (d *demo) page(ctx context.Context, p userdb.Page) (rows []measured, err error) {
	url := d.server + listPath + "?" + p.Query()
	pages, err := d.newCache()
	if err != nil {
		return nil, err
	}
	defer closing(pages, &err)
	for _, w := range ways {
		m, err := d.measure(ctx, w, pages, url)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		rows = append(rows, m)
	}
	return rows, nil
}

// newCache makes a cache, which the server uses from now on.
func (d *demo) newCache() (*httpcache.Cache, error) {
	pages, err := newPages(d.redis)
	if err != nil {
		return nil, err
	}
	d.use(pages)
	return pages, nil
}

func (d *demo) use(pages *httpcache.Cache) {
	h := (&api{db: d.db, service: d.service, pages: pages}).handler()
	d.current.Store(&h)
}

// prepare caches the page again in both tiers, and returns its ETag.
func (d *demo) prepare(ctx context.Context, pages *httpcache.Cache, url string) (etag string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if err := pages.Purge(ctx, r); err != nil { // this Redis may have it from an earlier run
		return "", err
	}
	if _, err := d.get(r); err != nil {
		return "", err
	}
	second, err := d.get(r)
	if err != nil {
		return "", err
	}
	return second.etag, nil
}

// measure takes the samples of one way.
func (d *demo) measure(ctx context.Context, w way, pages *httpcache.Cache, url string) (measured, error) {
	m := measured{way: w.name}
	etag, err := d.prepare(ctx, pages, url)
	if err != nil {
		return m, err
	}
	var times []time.Duration
	for detours := 0; len(times) < d.samples; {
		r, err := w.request(ctx, url, etag)
		if err != nil {
			return m, err
		}
		a, err := d.sample(w, pages, r)
		if errors.Is(err, errOtherWay) && detours < maxDetours {
			detours++ // Redis has reported the page as stored, and not confirmed yet that it still has it
			continue
		}
		if err != nil {
			return m, err
		}
		times, m.body = append(times, a.time), a.body
	}
	d.use(pages)
	slices.Sort(times)
	m.time = times[len(times)/2]
	return m, nil
}

func (w way) request(ctx context.Context, url, etag string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if w.noStore {
		r.Header.Set("Cache-Control", "no-store")
	}
	if w.conditional {
		r.Header.Set("If-None-Match", etag)
	}
	return r, nil
}

// sample makes the request, and checks with the cache's counters that it was answered in this way.
func (d *demo) sample(w way, pages *httpcache.Cache, r *http.Request) (a reply, err error) {
	if w.empty {
		if pages, err = d.newCache(); err != nil {
			return a, err
		}
		defer closing(pages, &err)
		if err := d.warmUp(r); err != nil {
			return a, err
		}
	}
	before := countsOf(pages.Stats())
	if a, err = d.get(r); err != nil {
		return a, err
	}
	if got := countsOf(pages.Stats()).since(before); got != w.want {
		return a, fmt.Errorf("%w: %+v, want %+v", errOtherWay, got, w.want)
	}
	return a, nil
}

// warmUp requests another page than r, so that the first use of a new cache isn't measured.
func (d *demo) warmUp(r *http.Request) error {
	other := r.Clone(r.Context())
	other.URL.RawQuery = userdb.Page{Skip: 1, Limit: 1}.Query()
	_, err := d.get(other)
	return err
}

// reply is a response, with the time it took.
type reply struct {
	time time.Duration // until the body was read
	body int64
	etag string
}

func (d *demo) get(r *http.Request) (a reply, err error) {
	start := time.Now()
	response, err := d.client.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	if a.body, err = io.Copy(io.Discard, response.Body); err != nil {
		return a, err
	}
	a.time, a.etag = time.Since(start), response.Header.Get("ETag")
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotModified {
		return a, fmt.Errorf("GET %s: %s", r.URL, response.Status)
	}
	return a, nil
}

func countsOf(s httpcache.Stats) counts {
	return counts{bypassed: s.Bypassed, remoteHits: s.Tiers.RemoteHits, localHits: s.Tiers.LocalHits, notModified: s.NotModified}
}

func (c counts) since(before counts) counts {
	return counts{
		bypassed:    c.bypassed - before.bypassed,
		remoteHits:  c.remoteHits - before.remoteHits,
		localHits:   c.localHits - before.localHits,
		notModified: c.notModified - before.notModified,
	}
}
