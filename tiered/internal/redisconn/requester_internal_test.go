package redisconn

import (
	"testing"

	"github.com/tiercache/tiercache/tiered/internal/coherence"
)

func TestReportedKeys(t *testing.T) {
	some := reportedKeys{prefix: "tc:", names: coherence.Names{"user": true, "b": true}}
	all := reportedKeys{prefix: "tc:"}
	for range 2 { // the first time it doesn't know the names yet
		for _, c := range []struct {
			key  string
			want bool
		}{
			{"tc:user:1", true},
			{"tc:users:1", false},
			{"tc:user:", true},
			{"tc:user!tag:x", true},
			{"tc:use:1", false},
			{"tc:b!era{b}", true},
			{"tc:user", false},
			{"tc:!id", false},
			{"user:1", false},
			{"", false},
		} {
			if some.has(c.key) != c.want {
				t.Errorf("%q: %v, want %v", c.key, !c.want, c.want)
			}
			if !all.has(c.key) {
				t.Errorf("%q isn't among all keys", c.key)
			}
		}
	}
}
