package inflight_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/inflight"
	"github.com/tiercache/tiercache/tiered/internal/mono"
)

// A call waits for the turn until the call before gives it back, is overdue, or its callers are served from fallbacks.
func TestTurn(t *testing.T) {
	t.Parallel()
	const soft, hard = time.Second, time.Minute
	for name, tc := range map[string]struct {
		runs   time.Duration // of the first call, whose context ends after hard
		soft   time.Duration
		served bool
		waits  time.Duration
	}{
		"given back":           {runs: 5 * time.Second, waits: 5 * time.Second},
		"overdue":              {runs: time.Hour, waits: hard},
		"served":               {runs: time.Hour, soft: soft, served: true, waits: soft},
		"not served":           {runs: 5 * time.Second, soft: soft, waits: 5 * time.Second},
		"back before it's due": {runs: soft / 2, soft: soft, served: true, waits: soft / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turn := inflight.NewTurn()
				ctx, cancel := context.WithTimeout(t.Context(), hard)
				defer cancel()
				done, err := turn.Acquire(ctx, tc.soft, func() bool { return tc.served }, mono.Now())
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(tc.runs, done)
				began := time.Now()
				next, err := turn.Acquire(t.Context(), 0, nil, mono.Now())
				if waited := time.Since(began); err != nil || waited != tc.waits {
					t.Errorf("waited for %v, want %v: %v", waited, tc.waits, err)
				}
				next()
				time.Sleep(time.Hour) // the first call ends
				if last, err := turn.Acquire(t.Context(), 0, nil, mono.Now()); err != nil {
					t.Error(err)
				} else {
					last()
				}
			})
		})
	}
}

// Once the round has ended nobody waits, but a call whose context has ended doesn't begin.
func TestTurnAfterItsRound(t *testing.T) {
	t.Parallel()
	turn := inflight.NewTurn()
	if _, err := turn.Acquire(t.Context(), 0, nil, mono.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turn.Acquire(ctx, 0, nil, mono.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("in an ended context: %v", err)
	}
	turn.End()
	done, err := turn.Acquire(t.Context(), 0, nil, mono.Now())
	if err != nil {
		t.Fatal(err)
	}
	done()
	if _, err := turn.Acquire(ctx, 0, nil, mono.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("in an ended context, after the round: %v", err)
	}
}
