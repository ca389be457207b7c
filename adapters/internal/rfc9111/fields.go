package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

// Stored returns a function that reports whether a field of the response is stored with it. The function takes canonical
// names.
func Stored(response http.Header, kind Kind) func(name string) bool {
	listed := append(names(response["Connection"]), // RFC 9110 §7.6.1
		names(response["Trailer"])...) // §6.5: they are no header fields
	cc, _ := Control(response, kind)
	listed = append(listed, cc.fields()...) // §5.2.2.4: not to be used again, §5.2.2.7: not to be shared
	return func(name string) bool { return !slices.Contains(listed, name) && !unstored(name) }
}

// Own returns the names of the fields of a response that are for its own client only, and not stored: those in the arguments of no-cache
// and private (RFC 9111 §5.2.2.4, §5.2.2.7).
func Own(response http.Header, kind Kind) []string {
	cc, _ := Control(response, kind)
	list := cc.fields()
	slices.Sort(list)
	return slices.Compact(list)
}

// Updates reports whether a field of a 304 replaces that of the stored response (RFC 9111 §3.2). It doesn't if it
// isn't stored, or describes the content, which doesn't change. name is canonical. [Stored] of the 304 excludes further fields.
func Updates(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Range", "Etag":
		return false
	}
	return !unstored(name) // nor Content-Length and Transfer-Encoding
}

// names returns the field names that a field lists.
func names(lines []string) []string {
	var list []string
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if name = trimOWS(name); name != "" {
				list = append(list, http.CanonicalHeaderKey(name))
			}
		}
	}
	return list
}

func unstored(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade": // RFC 9110 §7.6.1
		return true
	case "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization": // RFC 9111 §3.1
		return true
	case "Trailer": // the trailer section isn't kept (RFC 9110 §6.5.1)
		return true
	case "Content-Length", "Age": // set for each response
		return true
	}
	return !IsFieldName(name) // that also keeps http.TrailerPrefix out
}

// IsFieldName reports whether a name is a token (RFC 9110 §5.1, §5.6.2).
func IsFieldName(name string) bool {
	for _, c := range []byte(name) {
		if !isTokenByte(c) {
			return false
		}
	}
	return name != ""
}

func isTokenByte(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// Canonical reports whether all names are as [http.CanonicalHeaderKey] writes them. The rules look for fields by
// these names and would overlook the others.
func Canonical(h http.Header) bool {
	for name := range h {
		if name != http.CanonicalHeaderKey(name) {
			return false
		}
	}
	return true
}

// InNotModified reports whether a field of the stored response goes into a 304 made from it. Fields that describe the
// content the client has already do not (RFC 9110 §15.4.5); Last-Modified does where it is the only validator. name
// is canonical.
func InNotModified(name string, hasETag bool) bool {
	switch name {
	case "Content-Type", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range",
		"Content-Md5", "Content-Digest", "Repr-Digest", "Digest":
		return false
	case "Last-Modified":
		return !hasETag
	}
	return true
}
