//go:build !race

package tiered_test

import (
	"context"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

type service struct {
	users *tiered.Cache[*user]
	load  tiered.Loader[*user]
}

func (s *service) loadUser(context.Context, *tiered.Entry[*user]) (*user, error) {
	return &user{ID: 7}, nil
}

// A hit in the local tier allocates nothing, with and without a Trace. (Not under the race detector, which makes sync.Pool forget.)
func TestLocalHitAllocatesNothing(t *testing.T) {
	for name, trace := range map[string]*tiered.Trace{"no trace": nil, "a trace": (&recorder{t: t}).trace()} {
		t.Run(name, func(t *testing.T) { testLocalHitAllocatesNothing(t, trace) })
	}
}

func testLocalHitAllocatesNothing(t *testing.T, trace *tiered.Trace) {
	s := &service{users: newCache(t, tiered.Options[*user]{Trace: trace})}
	s.load = s.loadUser
	ctx := t.Context()
	if _, err := s.users.GetOrLoad(ctx, "7", s.load); err != nil {
		t.Fatal(err)
	}
	view := s.users.With(func(p *tiered.Policy) { p.LocalTTL = time.Millisecond })
	for name, hit := range map[string]func() error{
		"GetOrLoad":     func() error { _, err := s.users.GetOrLoad(ctx, "7", s.load); return err },
		"Get":           func() error { _, err := s.users.Get(ctx, "7"); return err },
		"Get in a view": func() error { _, err := view.Get(ctx, "7"); return err },
		"Lookup":        func() error { _, err := s.users.Lookup(ctx, "7"); return err },
	} {
		if n := testing.AllocsPerRun(10_000, func() {
			if err := hit(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if st := s.users.Stats(); st.Loads != 1 {
		t.Errorf("stats %+v", st)
	}
}
