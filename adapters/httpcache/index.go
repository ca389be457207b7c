package httpcache

import (
	"crypto/rand"
	"net/http"
	"slices"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/keys"
)

// maxSpecs is how many sets of field names the responses to one URL may vary by. A further one replaces the oldest.
const maxSpecs = 4

// index is what is stored for a URL whose responses vary: by which fields of the request. The responses have keys of their own,
// made of what these fields said, and of the index's name: without their index nobody finds them, so that to remove it is
// to remove them all. What is found through a stale index is stale, too, and the next index has its name as the Former.
type index struct {
	Name   string     `msgpack:"n"`
	Former string     `msgpack:"f,omitempty"` // of the index before; what has that is stale
	Specs  [][]string `msgpack:"s"`           // the newest first; field names, sorted
}

func newIndex(names []string) *index { return &index{Name: rand.Text(), Specs: [][]string{names}} }

// successor returns the index that takes the place of a stale one, whose newest spec are the names.
func (i *index) successor(names []string) *index {
	next := i.with(names)
	next.Name, next.Former = rand.Text(), i.Name
	return next
}

// before returns an index of the responses that have the Former; nil: there are none.
func (i *index) before() *index {
	if i.Former == "" {
		return nil
	}
	return &index{Name: i.Former, Specs: i.Specs}
}

// with returns the index with the names as its newest spec.
func (i *index) with(names []string) *index {
	specs := append(make([][]string, 0, len(i.Specs)+1), names)
	for _, spec := range i.Specs {
		if len(specs) < maxSpecs && !slices.Equal(spec, names) {
			specs = append(specs, spec)
		}
	}
	return &index{Name: i.Name, Former: i.Former, Specs: specs}
}

func (i *index) cost() int {
	n := len(i.Name) + len(i.Former)
	for _, spec := range i.Specs {
		for _, name := range spec {
			n += 16 + len(name)
		}
	}
	return n
}

// variant is the key of the response for requests whose fields of these names say the same as the request's: the names are
// in what is digested. No primary key has a NUL in it.
func (i *index) variant(primary string, names []string, request http.Header) string {
	return primary + "\x00" + i.Name + keys.Digest(rfc9111.Selecting(names, request))
}

// languageKey is where it says under which key the response in a language is that such a request may have, whatever else its
// Accept-Language has; "" if there is no such key.
func (i *index) languageKey(primary string, names []string, request http.Header, language string) string {
	if language == "" || !slices.Contains(names, acceptLanguage) {
		return ""
	}
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == acceptLanguage })
	return i.variant(primary, others, request) + "\x00" + language
}

const acceptLanguage = "Accept-Language"

// usable reports whether the index can be relied on, wherever it came from.
func (i *index) usable() bool {
	if i.Name == "" || len(i.Specs) == 0 || len(i.Specs) > maxSpecs {
		return false
	}
	for _, spec := range i.Specs {
		for _, name := range spec {
			if name != http.CanonicalHeaderKey(name) {
				return false
			}
		}
	}
	return true
}
