package rfc9111

import (
	"math"
	"net/http"
	"time"
)

// Directives has the directives of a request's Cache-Control (RFC 9111 §5.2.1), or of its Pragma if it has no Cache-Control
// (§5.4).
type Directives struct {
	NoCache, NoStore, OnlyIfCached bool

	MaxAge   time.Duration // negative: absent. An invalid value counts as 0
	MinFresh time.Duration // 0: absent
	MaxStale time.Duration // 0: absent; without a value: math.MaxInt64. An invalid value counts as absent
}

// NoDirectives is the Directives of a request without any.
var NoDirectives = Directives{MaxAge: -1}

// ParseDirectives reads the directives of a request.
func ParseDirectives(request http.Header) Directives {
	if lines := request["Cache-Control"]; len(lines) > 0 {
		return parseDirectives(lines)
	}
	return Directives{MaxAge: -1, NoCache: pragmaNoCache(request["Pragma"])}
}

func parseDirectives(lines []string) Directives {
	var room [6]Directive // as many as a request has, so that none is on the heap
	cc := appendDirectives(room[:0], lines)
	d := Directives{NoCache: cc.Has("no-cache"), NoStore: cc.Has("no-store"), OnlyIfCached: cc.Has("only-if-cached"), MaxAge: -1}
	if age, ok := cc.Seconds("max-age"); ok {
		d.MaxAge = age
	}
	d.MinFresh, _ = cc.Seconds("min-fresh")
	if value, ok := cc.Get("max-stale"); ok {
		d.MaxStale = math.MaxInt64
		if value != "" {
			d.MaxStale, _ = parseSeconds(value)
		}
	}
	return d
}

// pragmaNoCache reports whether a request has Pragma: no-cache, from before there was Cache-Control (RFC 9111
// §5.4).
func pragmaNoCache(lines []string) bool {
	if len(lines) == 0 {
		return false
	}
	var room [2]Directive
	return appendDirectives(room[:0], lines).Has("no-cache")
}
