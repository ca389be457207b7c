package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

const (
	maxTags   = 64
	maxTagLen = 256
	maxGroups = 32 // as many as RFC 9875 §2 requires, and with longer names
)

// Tags returns the tags by which a stored response can be removed, without duplicates: those in Cache-Tag, separated by
// commas, and in Surrogate-Key, separated by spaces. No RFC describes them. ok is false if there are over 64, or one
// is over 256 bytes: then the response isn't stored, since a removal by an omitted tag would miss it.
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

// Groups returns the groups in a Cache-Groups field of a response, or in the Cache-Group-Invalidation of one to an unsafe request
// (RFC 9875 §2, §3): a List of Strings. A field that isn't one is ignored (RFC 9651 §4.2). ok is false if there are over 32, or
// one is over 256 bytes: a removal by an omitted group would miss the response.
func Groups(lines []string) (groups []string, ok bool) {
	members, valid := parseList(lines)
	for _, m := range members {
		valid = valid && m.kind == kindString
	}
	if !valid {
		return nil, true
	}
	for _, m := range members {
		if slices.Contains(groups, m.text) {
			continue
		}
		if len(groups) == maxGroups || len(m.text) > maxTagLen {
			return nil, false
		}
		groups = append(groups, m.text)
	}
	return groups, true
}
