package httpcache_test

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/adapters/httpcache"
	"github.com/tiercache/tiercache/internal/redistest"
)

const day = 24 * time.Hour

// lasting is an origin whose responses vary by X-Kind, which they don't say if that begins with a 0, and are fresh for as many seconds
// as it says. It answers 304 where it can.
func lasting(fields ...string) *origin {
	o := &origin{}
	o.handler = func(w http.ResponseWriter, r *http.Request) {
		kind := r.Header.Get("X-Kind")
		setFields(w.Header(), append([]string{"Etag", strconv.Quote(kind)}, fields...))
		if !strings.HasPrefix(kind, "0") {
			w.Header().Set("Vary", "X-Kind")
		}
		if w.Header().Get("Cache-Control") == "" {
			w.Header().Set("Cache-Control", "max-age="+kind)
		}
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, kind)
	}
	return o
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// The index that finds the variants lasts as long as each of them can be used: fresh, stale or to be validated, whenever it was
// stored, and freshened or not.
func TestIndexOutlivesVariants(t *testing.T) {
	t.Parallel()
	type step struct {
		after time.Duration
		kind  string
		want  string // the Cache-Status begins so
	}
	const (
		hit, miss = "http; hit", "http; fwd=uri-miss; stored"
		variant   = "http; fwd=vary-miss; stored"
		validated = "http; fwd=stale; fwd-status=304; stored"
	)
	long, short := seconds(2*day), seconds(time.Minute)
	for name, tc := range map[string]struct {
		options httpcache.Options
		fields  []string
		steps   []step
	}{
		"the first one": {steps: []step{{0, long, miss}, {2*day - time.Minute, long, hit}}},
		"the second one": {steps: []step{
			{0, short, miss}, {11 * time.Hour, long, variant}, {2*day - time.Minute, long, hit},
		}},
		"after shorter ones": {steps: []step{
			{0, long, miss}, {14 * time.Hour, short, variant}, {14 * time.Hour, seconds(time.Hour), variant}, {20*time.Hour - time.Minute, long, hit},
		}},
		"one that doesn't say Vary": {steps: []step{
			{0, short, miss}, {11 * time.Hour, "0" + long, variant}, {2*day - time.Minute, "0" + long, hit},
		}},
		"to be validated": {options: httpcache.Options{Keep: 2 * day}, steps: []step{
			{0, short, miss}, {2*day - time.Minute, short, validated}, {2*day - time.Minute, short, validated},
		}},
		"stale": {fields: []string{"Cache-Control", "max-age=60, stale-while-revalidate=172800"}, steps: []step{
			{0, "a", miss}, {2*day - time.Minute, "a", hit},
		}},
		"freshened": {steps: []step{
			{0, long, miss}, {2*day + time.Minute, long, validated}, {2*day - time.Minute, long, hit},
		}},
		"for ever": {
			options: httpcache.Options{Keep: math.MaxInt64, StaleIfError: math.MaxInt64}, fields: []string{"Cache-Control", "max-age=99999999999"},
			steps: []step{{0, "a", miss}, {2 * day, "a", hit}, {0, "b", variant}, {day, "b", hit}, {0, "a", hit}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newCache(t, tc.options).Handler(lasting(tc.fields...))
				for i, s := range tc.steps {
					time.Sleep(s.after)
					w := get(h, "/a", "X-Kind", s.kind)
					if got := w.Header().Get("Cache-Status"); !strings.HasPrefix(got, s.want) || w.Body.String() != s.kind {
						t.Errorf("step %d: %s, %q, want %s", i, got, w.Body, s.want)
					}
					synctest.Wait()
				}
			})
		})
	}
}

// Redis keeps the index at least as long as any of the variants.
func TestIndexOutlivesVariantsInRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	h := newCache(t, httpcache.Options{Redis: connect(t, server), Keep: 2 * day}).Handler(lasting())
	for _, kind := range []time.Duration{time.Minute, 7 * day, time.Hour, 30 * day, time.Second} {
		get(h, "/a", "X-Kind", seconds(kind))
		var index, longest int64
		for _, key := range server.Do("KEYS", "tc:http:*").([]any) {
			left := server.Do("PTTL", key).(int64)
			if strings.Contains(key.(string), "\x00") {
				longest = max(longest, left)
			} else {
				index = left
			}
		}
		if index < longest || longest == 0 {
			t.Errorf("with a variant of %v: the index is kept for %d ms, a variant for %d ms", kind, index, longest)
		}
	}
}
