package benchmarks_test

import (
	"reflect"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

// TestPeers keeps the comparison honest: every peer returns what the source has, and those that cache it load it once.
func TestPeers(t *testing.T) {
	server := redistest.Start(t)
	test := func(tiers string, p peer, set setting) {
		t.Run(tiers+"/"+p.name, func(t *testing.T) {
			set.source = new(source)
			want, err := set.source.load(t.Context(), userKey(7))
			if err != nil {
				t.Fatal(err)
			}
			r := p.open(t, set)
			for range 3 {
				if u, err := r.read(t.Context(), userKey(7)); err != nil || !reflect.DeepEqual(u, want) {
					t.Errorf("got %+v, %v: want %+v", u, err, want)
				}
			}
			warm(t, set.source, []string{userKey(7), userKey(8)}, r)
		})
	}
	for _, p := range localPeers {
		test("local", p, setting{capacity: 100})
	}
	for _, p := range redisPeers {
		test("redis", p, setting{client: server.Client(t)})
	}
	for _, p := range stampedePeers {
		if p.name != "singleflight" { // it caches nothing
			set := setting{capacity: 100}
			if p.inRedis {
				set.client = server.Client(t)
			}
			test("stampede", p.peer, set)
		}
	}
}
