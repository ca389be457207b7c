package httpcache_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/adapters/httpcache"
)

// catcher is a ResponseWriter that keeps what it is handed, and not a copy of it.
type catcher struct {
	discard
	writes [][]byte
}

func (w *catcher) Write(p []byte) (int, error) {
	w.writes = append(w.writes, p)
	return len(p), nil
}

// The server gets the stored bytes themselves.
func TestHitCopiesNoBody(t *testing.T) {
	body := bytes.Repeat([]byte("x"), sizes["300KB"])
	h := newCache(t, httpcache.Options{TTL: time.Hour}).Handler(bare(body))
	catch := func(fields ...string) []byte {
		t.Helper()
		w := &catcher{discard: discard{make(http.Header)}}
		h.ServeHTTP(w, request("GET", "/", fields...))
		if len(w.writes) != 1 {
			t.Fatalf("the body was written in %d pieces, want 1", len(w.writes))
		}
		return w.writes[0]
	}
	catch() // a miss, which writes the handler's bytes
	first, second, part := catch(), catch(), catch("Range", "bytes=1000-1999")
	if !bytes.Equal(first, body) || unsafe.SliceData(first) == unsafe.SliceData(body) {
		t.Fatal("the handler may change its bytes afterwards: want a copy of them stored")
	}
	if unsafe.SliceData(first) != unsafe.SliceData(second) || unsafe.SliceData(first[1000:]) != unsafe.SliceData(part) {
		t.Error("two hits wrote different memory, want the store's")
	}
}

// What a hit allocates is for its header fields.
func TestHitAllocatesNothingForTheBody(t *testing.T) {
	short, shortBytes := hitAllocations(t, sizes["3KB"])
	long, longBytes := hitAllocations(t, sizes["300KB"])
	if long > short+2 || longBytes > shortBytes+uint64(sizes["300KB"]/10) { // under the race detector, pools forget a part of what they get
		t.Errorf("%v allocations of %d bytes for 300 KB, %v of %d for 3 KB: want about the same", long, longBytes, short, shortBytes)
	}
}

// hitAllocations returns the allocations of a hit and their bytes.
func hitAllocations(t *testing.T, length int) (allocations float64, size uint64) {
	t.Helper()
	const hits = 100
	h := newCache(t, httpcache.Options{TTL: time.Hour}).Handler(bare(make([]byte, length)))
	w, r := discard{make(http.Header)}, request("GET", "/")
	h.ServeHTTP(w, r)
	hit := func() { h.ServeHTTP(w, r) }
	allocations = testing.AllocsPerRun(hits, hit)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range hits {
		hit()
	}
	runtime.ReadMemStats(&after)
	return allocations, (after.TotalAlloc - before.TotalAlloc) / hits
}

// A client's hit allocates about as much as a copy of a response that is ready, and nothing for the body.
func TestTransportHitAllocates(t *testing.T) {
	allocations := func(rt http.RoundTripper) float64 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
		if err != nil {
			t.Fatal(err)
		}
		call := func() {
			res, err := rt.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		call()
		return testing.AllocsPerRun(100, call)
	}
	next := ready(make([]byte, sizes["300KB"]))
	floor := allocations(next)
	if n := allocations(newCache(t, httpcache.Options{Private: true}).Transport(next)); n > floor+3 {
		t.Errorf("%v allocations, want at most 3 more than %v", n, floor)
	}
}
