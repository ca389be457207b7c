package tags_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/conntest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/record"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
	"github.com/tiercache/tiercache/tiered/internal/tags"
)

// open returns the index of a process of its own, to which no changes are reported.
func open(t *testing.T, client redis.UniversalClient) *tags.Index {
	t.Helper()
	return tags.New(tags.NewStore(conntest.Open(t, client), "test", func([]redisconn.Reply) {}), false)
}

// load returns the stamp of a value with the tags that is loaded and stored now.
func load(t *testing.T, x *tags.Index, names ...string) coherence.Stamp {
	t.Helper()
	at, err := x.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d, err := x.Register(t.Context(), at, names, time.Hour); d == nil || err != nil {
		t.Fatalf("not registered: %v, %v", d, err)
	}
	return at.Stamp(names)
}

// status returns what the index says of a value that was read with the stamp.
func status(t *testing.T, x *tags.Index, s coherence.Stamp) string {
	t.Helper()
	m := &record.Meta{Stamp: s}
	bound, errs := x.Bind(t.Context(), []*record.Meta{m})
	switch {
	case errs[0] != nil:
		t.Fatal(errs[0])
	case bound[0] == nil:
		return "invalid"
	case m.Expired:
		return "expired"
	}
	return "valid"
}

func TestInvalidateTags(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	for name, c := range map[string]struct {
		do                func(x *tags.Index) error
		tagged, untagged  string // afterwards
		reported, cleared bool   // how another process hears of it
	}{
		"invalidated": {do: func(x *tags.Index) error {
			_, _, err := x.Invalidate(t.Context(), []string{"a"}, false)
			return err
		}, tagged: "invalid", untagged: "valid", reported: true},
		"expired": {do: func(x *tags.Index) error {
			_, _, err := x.Invalidate(t.Context(), []string{"a"}, true)
			return err
		}, tagged: "expired", untagged: "valid", reported: true},
		"cleared": {do: func(x *tags.Index) error { return x.Store.Clear(t.Context(), false) }, tagged: "invalid", untagged: "invalid", cleared: true},
		"all expired": {do: func(x *tags.Index) error { return x.Store.Clear(t.Context(), true) }, tagged: "expired", untagged: "expired",
			cleared: true},
	} {
		t.Run(name, func(t *testing.T) {
			x, other := open(t, client), open(t, client)
			tagged, untagged := load(t, x, "a", "b"), load(t, x)
			if status(t, other, tagged) != "valid" || status(t, other, untagged) != "valid" {
				t.Fatal("it isn't valid in another process")
			}
			if err := c.do(x); err != nil {
				t.Fatal(err)
			}
			if c.reported {
				other.SeqChanged()
				other.TagChanged("a")
			}
			if c.cleared {
				other.EpochChanged()
			}
			if got := status(t, other, tagged); got != c.tagged {
				t.Errorf("with the tag: %s, want %s", got, c.tagged)
			}
			if got := status(t, other, untagged); got != c.untagged {
				t.Errorf("without: %s, want %s", got, c.untagged)
			}
			if got := status(t, other, load(t, other, "a")); got != "valid" {
				t.Errorf("loaded afterwards: %s", got)
			}
		})
	}
}

// A process that invalidates tags learns of a new epoch before that is reported: values of the older one are invalid from then on.
func TestInvalidateInAnEpochThatIsNotReported(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	for _, expire := range []bool{false, true} {
		x, other := open(t, client), open(t, client)
		tagged := load(t, x, "a")
		if err := other.Store.Clear(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if got := status(t, x, tagged); got != "valid" {
			t.Fatalf("before the report: %s", got)
		}
		if done, _, err := x.Invalidate(t.Context(), []string{"a"}, expire); len(done) != 1 || err != nil {
			t.Fatalf("%q, %v", done, err)
		}
		x.Invalidated([]string{"a"}, expire)
		if got := status(t, x, tagged); got != "invalid" {
			t.Errorf("with expire %v: %s", expire, got)
		}
		if got := status(t, x, load(t, x, "a")); got != "valid" {
			t.Errorf("loaded afterwards: %s", got)
		}
	}
}

// A load that began before an invalidation isn't registered, nor kept where it couldn't be stored.
func TestInvalidatedDuringALoad(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	for name, x := range map[string]*tags.Index{"in process": tags.New(nil, false), "in Redis": open(t, client)} {
		t.Run(name, func(t *testing.T) {
			load(t, x, "a") // the tag's record exists
			began := x.Invalidations()
			at, err := x.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if x.Store != nil {
				if _, _, err := x.Invalidate(t.Context(), []string{"a"}, false); err != nil {
					t.Fatal(err)
				}
			}
			x.Invalidated([]string{"a"}, false)
			if d, err := x.Register(t.Context(), at, []string{"a"}, time.Hour); d != nil || err != nil {
				t.Errorf("registered: %v, %v", d, err)
			}
			if d := x.BindUnstored(at, []string{"a"}, coherence.Always, began); d != nil {
				t.Error("kept without Redis")
			}
			if d := x.BindUnstored(at, nil, coherence.Always, began); d == nil {
				t.Error("a value without tags isn't kept")
			}
		})
	}
}

// The index asks Redis only for what it doesn't know.
func TestBindKnown(t *testing.T) {
	t.Parallel()
	x := open(t, redistest.Start(t).Client(t))
	s := load(t, x, "a")
	if _, ok := x.BindKnown(&s, mono.Now()); !ok {
		t.Error("unknown after it was registered")
	}
	other := coherence.Stamp{Epoch: s.Epoch, Seq: s.Seq, Tags: []string{"b"}}
	if _, ok := x.BindKnown(&other, mono.Now()); ok {
		t.Error("a tag that nobody has read is known")
	}
	x.TagChanged("a")
	if _, ok := x.BindKnown(&s, mono.Now()); ok {
		t.Error("known after a change")
	}
	if got := status(t, x, s); got != "valid" {
		t.Errorf("%s after it was read again", got)
	}
	x.EpochChanged()
	if _, ok := x.BindKnown(&s, mono.Now()); ok || x.KnownEpoch() != nil {
		t.Error("the epoch is known after its end")
	}
}

// What depends on a tag ends when the tag is invalidated, in this process at once.
func TestDependentsEnd(t *testing.T) {
	t.Parallel()
	x := tags.New(nil, false)
	at, _ := x.Position(t.Context())
	d, err := x.Register(t.Context(), at, []string{"a", "b"}, time.Hour)
	if err != nil || !d.Valid(mono.Now()) {
		t.Fatalf("%v, %v", d, err)
	}
	x.Invalidated([]string{"b"}, false)
	if d.Valid(mono.Now()) {
		t.Error("valid after an invalidation of its tag")
	}
	at, _ = x.Position(t.Context())
	d, _ = x.Register(t.Context(), at, nil, time.Hour)
	x.Cleared(false)
	if d.Valid(mono.Now()) {
		t.Error("valid after a Clear")
	}
}

// Lost records and a lost epoch invalidate.
func TestLostRecords(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	for _, lost := range []string{"tc:test!tag:a", "tc:test!era{test}", "tc:test!count{test}"} {
		x := open(t, client)
		s := load(t, x, "a")
		if keys := client.Keys(t.Context(), "tc:test!*").Val(); !slices.Contains(keys, lost) {
			t.Fatalf("no %s among %q", lost, keys)
		}
		server.Do("DEL", lost)
		if got := status(t, open(t, client), s); got != "invalid" {
			t.Errorf("without %s: %s", lost, got)
		}
	}
}
