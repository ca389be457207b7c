package httpcache

import (
	"fmt"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/keys"
	"github.com/tiercache/tiercache/tiered"
)

const (
	defaultName    = "http"
	defaultMaxBody = 8 << 20
	defaultMaxCost = 64 << 20
)

// Options configures a [Cache]. The zero Options is an in-process cache that stores the responses that say how long they
// are fresh.
type Options struct {
	// Name is the cache's namespace in Redis and its name in Cache-Status: letters, digits, '.', '_', '-' or '/'.
	// Caches of one Name on one Redis share what they store. Empty: "http".
	Name string
	// Redis is the second tier. nil: the cache is in-process only.
	Redis *tiered.Redis
	// TTL is how long a response is fresh that doesn't say so itself; what a response says wins. 0: such responses
	// are not stored.
	TTL time.Duration
	// MaxBody is the length of the longest body that is stored, in bytes; longer ones pass through. 0: 8 MiB.
	MaxBody int64
	// MaxCost is the local tier's capacity in bytes. A response counts with its header fields, its body and 512 bytes
	// for the rest; its key, of which no more than about 1 KiB is kept, doesn't count. 0: 64 MiB.
	MaxCost int64
	// Key returns what a request's response is stored under. The empty string means that the cache has no part in
	// the request. It sees HEAD requests as GETs, and may not read the body. Whatever in a request changes the
	// response must be in the key. nil: keys.HostRequest, the host, path and query.
	Key func(*http.Request) string
}

// validated returns o with the defaults filled in. The Name is for tiered.New to judge.
func (o Options) validated() (Options, error) {
	if o.Name == "" {
		o.Name = defaultName
	}
	if o.TTL < 0 {
		return o, fmt.Errorf("httpcache: Options.TTL is %v: want 0 (only responses that say how long they are fresh) or more",
			o.TTL)
	}
	for _, n := range []struct {
		field string
		value *int64
		zero  int64
	}{
		{"MaxBody", &o.MaxBody, defaultMaxBody},
		{"MaxCost", &o.MaxCost, defaultMaxCost},
	} {
		if *n.value < 0 {
			return o, fmt.Errorf("httpcache: Options.%s is %d: want 0 (%d) or more bytes", n.field, *n.value, n.zero)
		}
		if *n.value == 0 {
			*n.value = n.zero
		}
	}
	if o.Key == nil {
		o.Key = keys.HostRequest
	}
	return o, nil
}
