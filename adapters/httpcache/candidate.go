package httpcache

import (
	"net/http"
	"time"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
)

// candidate is the key under which the response to a request is or will be stored, with the stored response.
type candidate struct {
	primary string
	private bool // the response is for one user
	key     string
	index   *index   // nil: the responses aren't known to vary
	names   []string // the Vary of the responses at key

	indexLeft  time.Duration // how long the index is kept
	staleIndex *index        // it was purged softly; nil: it wasn't, or there is none

	found        *response // nil: none that may be served
	age          time.Duration
	residentTime time.Duration // how long it has been stored
	freshInStore bool          // for the store
	// expired: it was purged softly, before its time.
	softPurged bool
	// The found response may not be served with the fields of handlers around the cache; forbidden: nor may any other.
	rejected, forbidden bool

	hitForMiss bool // the cache remembers that the response can't be stored
}

// formerKeys returns the keys of responses that were purged softly with an index, and that a new response to the same request replaces.
func (cand *candidate) formerKeys(request http.Header) (list []string) {
	old := []*index{cand.staleIndex, nil}
	if cand.staleIndex != nil {
		old[1] = cand.staleIndex.before()
	} else if cand.index != nil {
		old[1] = cand.index.before()
	}
	for _, i := range old {
		if i == nil {
			continue
		}
		for _, names := range i.Specs {
			list = append(list, i.variant(cand.primary, names, request))
		}
	}
	return list
}

// needsShared reports whether only responses that are marked as shared may be served to the request.
func (cand *candidate) needsShared(r *http.Request) bool {
	return !cand.private && len(r.Header["Authorization"]) > 0
}

// freshFor returns how long the found response is still fresh; if it is negative, how long it has been stale.
func (cand *candidate) freshFor() time.Duration {
	if cand.found == nil {
		return 0
	}
	if left := cand.found.freshFor(cand.age); !cand.softPurged || left < 0 {
		return left
	}
	return 0
}

// decide returns what to do with the found response for a request.
func (cand *candidate) decide(d rfc9111.Directives) rfc9111.Decision {
	t := cand.found.terms()
	if cand.softPurged {
		t.Lifetime = min(t.Lifetime, cand.age)
	}
	return rfc9111.Decide(t, cand.age, d)
}
