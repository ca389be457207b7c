package httpcache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

// difference says what is wrong with an answer from behind the cache; "" if it is what the origin alone answers, or what the
// RFC allows in its place:
//
//   - a 504 to only-if-cached (RFC 9111 §5.2.1.7), and nothing else that isn't stored
//   - one made of an older version, if a cache may have kept that and use it still: see usable
//   - of a version: 200, 206, 304 or 416 as the request's conditions and ranges have it for that version, see explains; and as
//     the ETag has it that the cache made where there is none
//   - for the header: Age, Cache-Status, such an ETag, a Content-Length; and the stored Date
func (d *differential) difference(r *http.Request, w, alone *httptest.ResponseRecorder) string {
	res := d.model.find(r.URL.Path)
	hit := strings.HasPrefix(w.Header().Get("Cache-Status"), "http; hit")
	if w.Code == http.StatusGatewayTimeout && r.Header.Get("Cache-Control") == "only-if-cached" {
		return ""
	}
	if r.Header.Get("Cache-Control") == "only-if-cached" && !hit && r.Header.Get("If-Match") == "" {
		return "the handler ran"
	}
	if !hit && w.Code == alone.Code && w.Body.String() == alone.Body.String() && w.Header().Get("ETag") == alone.Header().Get("ETag") {
		return ""
	}
	whys := ""
	for v := res.version; v >= 0; v-- {
		why := d.usable(res, v, r)
		if why == "" {
			why = d.explains(res, v, r, w)
		}
		if why == "" {
			return ""
		}
		whys += fmt.Sprintf("version %d: %s\n", v, why)
	}
	return whys
}

// usable says why a version can't be the one that answers; "" if it can.
func (d *differential) usable(res *resource, version int, r *http.Request) string {
	control := r.Header.Get("Cache-Control")
	sent, known := d.model.sends[res.body(version, r.Header)]
	age := time.Since(sent) - 10*modelTime // a little less, as times are whole seconds
	left := res.life - age
	switch {
	case res.gone[version]:
		return "it is a 404"
	case version == res.version && !d.model.down:
		return ""
	case version < res.oldest:
		return "it was changed through the cache"
	case !known:
		return "nobody got it whose response could be used for this request"
	case res.life == 0 || res.cookie:
		return "it may not be stored"
	case r.Header.Get("Authorization") != "" && !res.shared:
		return "it is nothing for who authenticates"
	case slices.Contains([]string{"no-cache", "no-store", "max-age=0"}, control) || r.Header.Get("If-Match") != "":
		return "the request wants it from the origin"
	case left > 0 && d.model.down && res.ifError > 0 && control == "min-fresh=4": // that is a preference
		return ""
	case left > 0:
		return demands(control, age, left)
	case res.must:
		return "it is stale"
	}
	return d.stale(res, control, age, -left)
}

// demands says which of the request's directives a fresh response doesn't meet.
func demands(control string, age, left time.Duration) string {
	switch {
	case control == "max-age=3" && age > 3*time.Second, control == "max-age=9" && age > 9*time.Second,
		control == "max-age=20, max-stale=8" && age > 20*time.Second:
		return "it is too old"
	case control == "min-fresh=4" && left < 4*time.Second:
		return "it isn't fresh for long enough"
	}
	return ""
}

// stale says why a stale response can't be used.
func (d *differential) stale(res *resource, control string, age, since time.Duration) string {
	switch {
	case control == "max-stale", control == "max-stale=4" && since <= 4*time.Second,
		control == "max-age=20, max-stale=8" && since <= 8*time.Second && age <= 20*time.Second:
		return ""
	case strings.HasPrefix(control, "max-age"):
		return "it is stale"
	case since < res.behind && control != "min-fresh=4", d.model.down && since < res.ifError:
		return ""
	case since < res.ifError+time.Second: // the handler failed a moment ago, and isn't asked again at once
		return ""
	}
	return "it is stale"
}

// explains says what of the answer can't be made of a version; "" if it all can.
func (d *differential) explains(res *resource, version int, r *http.Request, w *httptest.ResponseRecorder) string {
	body, tag, h := res.body(version, r.Header), res.tag(version, r.Header), w.Header()
	if got := h.Get("ETag"); tag != "" && got != tag && w.Code != 416 {
		return "the ETag is another one's"
	}
	if names := strings.Join(res.varies(version), ", "); h.Get("Vary") != names && w.Code != 304 && w.Code != 416 {
		return "the Vary is another one's"
	}
	has := d.has(res, version, r, w)
	switch w.Code {
	case http.StatusNotModified:
		if !has {
			return "the client doesn't have it"
		}
		return empty(w)
	case http.StatusOK:
		if has && tag != "" {
			return "the client has it already"
		}
		return content(r, w, body)
	case http.StatusPartialContent:
		return d.part(r, w, body, tag)
	case http.StatusRequestedRangeNotSatisfiable:
		if r.Header.Get("Range") != "bytes=900-" || !strings.HasSuffix(h.Get("Content-Range"), fmt.Sprint("*/", len(body))) {
			return "there is such a range"
		}
		return ""
	case http.StatusPreconditionFailed:
		if match := r.Header.Get("If-Match"); match == "" || match == tag && !strings.HasPrefix(tag, "W/") {
			return "the condition holds"
		}
		return ""
	}
	return "no version has that status"
}

// has reports whether the client's conditions say that it has the version.
func (d *differential) has(res *resource, version int, r *http.Request, w *httptest.ResponseRecorder) bool {
	if match := r.Header.Get("If-None-Match"); match != "" {
		tag := res.tag(version, r.Header)
		if res.etag == "" { // the cache may have made one
			tag = w.Header().Get("ETag")
			if made, ok := d.made[tag]; ok && made != res.body(version, r.Header) {
				return false
			}
		}
		for item := range strings.SplitSeq(match, ", ") {
			if item == "*" || tag != "" && strings.TrimPrefix(item, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	if date := res.date(version); !date.IsZero() {
		return !date.After(since)
	}
	status := w.Header().Get("Cache-Status")
	if strings.Contains(status, "; stored") && !strings.Contains(status, "fwd-status") {
		return false // the Date of a new response isn't a stored one's; only a Transport's has one here
	}
	date, err := http.ParseTime(w.Header().Get("Date")) // RFC 9111 §4.3.2
	return err == nil && !date.After(since)
}

func empty(w *httptest.ResponseRecorder) string {
	if w.Body.Len() > 0 {
		return "there is a body"
	}
	return ""
}

// content says what is wrong with a body, of the length that is said.
func content(r *http.Request, w *httptest.ResponseRecorder, body string) string {
	if n := w.Header().Get("Content-Length"); n != "" && n != strconv.Itoa(len(body)) {
		return "the Content-Length is another one's"
	}
	if r.Method == http.MethodHead {
		return empty(w)
	}
	if w.Body.String() != body {
		return "the body is another one's"
	}
	return ""
}

// part says what is wrong with a 206.
func (d *differential) part(r *http.Request, w *httptest.ResponseRecorder, body, tag string) string {
	if condition := r.Header.Get("If-Range"); condition != "" {
		if tag == "" {
			tag = w.Header().Get("ETag") // the cache's own
		}
		if made, ok := d.made[condition]; condition != tag || ok && made != body || strings.HasPrefix(tag, "W/") {
			return "If-Range is about another one"
		}
	}
	var first, last, n int
	switch r.Header.Get("Range") {
	case "bytes=0-4":
		last = 4
	case "bytes=3-":
		first, last = 3, len(body)-1
	case "bytes=-5":
		first, last = len(body)-5, len(body)-1
	case "bytes=2-2":
		first, last = 2, 2
	case "bytes=0-0,-1":
		return "" // from the handler: a body for itself
	default:
		return "nobody asked for a part"
	}
	_, err := fmt.Sscanf(w.Header().Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%%d", first, last), &n)
	if err != nil || n != len(body) {
		return "the Content-Range is another one's"
	}
	return content(r, w, body[first:last+1])
}
