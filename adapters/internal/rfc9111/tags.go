package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

const (
	maxTags   = 64
	maxTagLen = 256
)

// Tags returns the tags by which a stored response can be removed, each once: those in Cache-Tag, separated by
// commas, and in Surrogate-Key, separated by spaces. No RFC describes them. ok is false if there are over 64, or one
// is over 256 bytes: then the response isn't stored, as a tag left out would be a removal that misses it.
func Tags(response http.Header) (tags []string, ok bool) {
	tags, ok = appendTags(nil, response["Cache-Tag"], ",")
	if !ok {
		return nil, false
	}
	tags, ok = appendTags(tags, response["Surrogate-Key"], " ")
	if !ok {
		return nil, false
	}
	return tags, true
}

func appendTags(tags, lines []string, separator string) (all []string, ok bool) {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, separator) {
			tag = trimOWS(tag)
			if tag == "" || slices.Contains(tags, tag) {
				continue
			}
			if len(tags) == maxTags || len(tag) > maxTagLen {
				return nil, false
			}
			tags = append(tags, tag)
		}
	}
	return tags, true
}
