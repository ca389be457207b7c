package httpcache

import (
	"crypto/rand"
	"net/http"
	"slices"

	"github.com/tiercache/tiercache/adapters/internal/rfc9111"
	"github.com/tiercache/tiercache/keys"
)

// maxSpecs limits the sets of field names in the Vary of the responses to one URL. A further one replaces the oldest.
const maxSpecs = 4

// index is stored for a URL whose responses vary. It has the field names by which they vary. The responses have keys of their own,
// made of these fields' values and of the index's name: they can't be found without their index, so that removing it
// removes them all. Responses that are found through a stale index are stale, too, and the next index has its name as the Former.
type index struct {
	Name   string     `msgpack:"n"`
	Former string     `msgpack:"f,omitempty"` // the name of the previous index, whose responses are stale
	Specs  [][]string `msgpack:"s"`           // the newest first; field names, sorted
}

func newIndex(names []string) *index { return &index{Name: rand.Text(), Specs: [][]string{names}} }

// successor returns the index that replaces a stale one, with the names as its newest spec.
func (i *index) successor(names []string) *index {
	next := i.with(names)
	next.Name, next.Former = rand.Text(), i.Name
	return next
}

// before returns an index of the responses with the Former; nil if there are none.
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

// variant returns the key of the response for requests with the same values as this request in the fields of these names. The names
// are digested, too. No primary key has a NUL in it.
func (i *index) variant(primary string, names []string, request http.Header) string {
	return primary + "\x00" + i.Name + keys.Digest(rfc9111.Selecting(names, request))
}

// languageKey returns the key under which the key of a response in a language is stored, for requests that prefer the language,
// whatever else their Accept-Language has; "" if there is no such key.
func (i *index) languageKey(primary string, names []string, request http.Header, language string) string {
	if language == "" || !slices.Contains(names, acceptLanguage) {
		return ""
	}
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == acceptLanguage })
	return i.variant(primary, others, request) + "\x00" + language
}

const acceptLanguage = "Accept-Language"

// usable reports whether the index, which any program may have written, is valid.
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
