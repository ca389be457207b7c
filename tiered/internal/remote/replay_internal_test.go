package remote

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered/internal/wire"
)

// A replay removes a key's value unless the value was certainly made after the change.
func TestOutdates(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	made := func(after, took time.Duration, expired bool) []byte {
		f := &wire.Frame{Codec: "json", Created: at.Add(after), Took: took, FreshFor: time.Minute, Expired: expired}
		b, _ := f.Encode(codec.Raw, f.Payload)
		return b
	}
	deletes, expires, unknown := Invalidation{Until: at}, Invalidation{Until: at, Expire: true}, Invalidation{}
	damaged := made(time.Hour, 0, false)
	damaged[len(damaged)-1] ^= 1
	for name, c := range map[string]struct {
		d     Invalidation
		holds []byte
		taken bool
		head  bool
	}{
		"an older Set":                {deletes, made(-time.Second, 0, false), true, true},
		"a Set at the same time":      {deletes, made(0, 0, false), true, true},
		"a newer Set":                 {deletes, made(time.Millisecond, 0, false), false, false},
		"a load that began later":     {deletes, made(2*time.Second, time.Second, false), false, false},
		"a load that began before":    {deletes, made(2*time.Second, 2*time.Second+1, false), true, true},
		"a newer one, no clock":       {unknown, made(time.Hour, 0, false), true, true},
		"an expired one to delete":    {deletes, made(-time.Second, 0, true), true, true},
		"an expired one to expire":    {expires, made(-time.Second, 0, true), true, true}, // a refresh may be under way
		"a fresh one to expire":       {expires, made(-time.Second, 0, false), true, true},
		"a newer one to expire":       {expires, made(time.Second, 0, false), false, false},
		"a lease":                     {deletes, wire.NewLease(time.Second).Bytes(), true, true},
		"a lease to expire":           {expires, wire.NewLease(time.Second).Bytes(), true, true},
		"a damaged frame":             {deletes, damaged, true, false},
		"another program's":           {deletes, []byte(`"v"`), true, false},
		"an empty one":                {deletes, nil, true, false},
		"another program's to expire": {expires, []byte(`"v"`), true, false},
	} {
		if got := c.d.outdates(c.holds); got.Exists != c.taken || got.Head != c.head {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
