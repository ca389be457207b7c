package mounts_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// stalePages are stale from the start, so that each hit has them renewed behind it.
type stalePages struct{ runs atomic.Int64 }

func (p *stalePages) user(w http.ResponseWriter, _ *http.Request, id string) {
	runtime.Gosched()
	w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
	fmt.Fprintf(w, "user %s, run %d", id, p.runs.Add(1))
}

func (p *stalePages) private(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "private")
	fmt.Fprint(w, "private")
}

// Routers keep what they know of a request in memory that is used again. A run behind one must not read it, nor leave its
// answer under another URL.
func TestBehindIsOfItsOwnRequest(t *testing.T) {
	for _, m := range mounts {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			cache := newCache(t, httpcache.Options{})
			s := listen(t, m.build(cache, new(stalePages)))
			client := s.Client()
			client.Transport.(*http.Transport).MaxIdleConnsPerHost = 50
			var wrong, foreground, hits atomic.Int64
			var wg sync.WaitGroup
			for n := range 50 {
				wg.Go(func() {
					for i := range 20 {
						if i%4 == 3 {
							if a := get(t, client, s.URL+m.prefix+"/private"); a.body != "private" {
								wrong.Add(1)
							}
							continue
						}
						id := fmt.Sprint((n*7 + i*13) % 100)
						a := get(t, client, s.URL+m.prefix+"/u/"+id)
						if !strings.HasPrefix(a.body, "user "+id+",") {
							wrong.Add(1)
						}
						status := a.header.Get("Cache-Status")
						if strings.Contains(status, "foreground") {
							foreground.Add(1)
						}
						if strings.Contains(status, "; hit") {
							hits.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if wrong.Load() > 0 || foreground.Load() > 0 || hits.Load() == 0 {
				t.Errorf("of %d answers %d are another request's, %d were renewed before, %d are hits",
					50*20, wrong.Load(), foreground.Load(), hits.Load())
			}
			first := get(t, client, s.URL+m.prefix+"/u/1").body
			eventually(t, "a new response", func() bool { return get(t, client, s.URL+m.prefix+"/u/1").body != first })
		})
	}
}
