package benchmarks_test

import (
	"reflect"
	"testing"

	"github.com/tiercache/tiercache/internal/redistest"
)

// Every peer returns the source's value, and every peer that caches it loads it once.
func TestPeers(t *testing.T) {
	client := redistest.Start(t).Client(t)
	for _, on := range []struct {
		benchmark string
		peers     []peer
		capacity  int
	}{{"local", localPeers, 100}, {"redis", redisPeers, 0}, {"stampede", stampedePeers, 100}} {
		for _, p := range on.peers {
			if p.name == "singleflight" {
				continue // it caches nothing
			}
			t.Run(on.benchmark+"/"+p.name, func(t *testing.T) {
				set := setting{capacity: on.capacity, client: client}.of(p, new(source))
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
				testMany(t, r, want)
			})
		}
	}
}

func testMany(t *testing.T, r reader, want *user) {
	t.Helper()
	many, ok := r.(manyReader)
	if !ok {
		return
	}
	us, err := many.readMany(t.Context(), []string{userKey(7), userKey(8)})
	if err != nil || len(us) != 2 || !reflect.DeepEqual(us[userKey(7)], want) || us[userKey(8)].ID != 8 {
		t.Errorf("many: got %+v, %v: want %+v and the next", us, err, want)
	}
}
