package tags

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered/internal/coherence"
	"github.com/tiercache/tiercache/tiered/internal/conntest"
	"github.com/tiercache/tiercache/tiered/internal/mono"
	"github.com/tiercache/tiercache/tiered/internal/redisconn"
)

// A read of the position that took longer than a local hit may be behind, because the process was paused, says nothing: neither its
// reply, nor that there was none. Calls that joined it read again.
func TestReadThatOutlastedAPause(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	for name, failure := range map[string]error{"a reply": nil, "no reply": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			x := New(NewStore(conntest.Open(t, client), name, func([]redisconn.Reply) {}), false)
			for shared := false; !shared; {
				before, err := x.open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := x.Store.Clear(t.Context(), false); err != nil { // which isn't reported to this process
					t.Fatal(err)
				}
				began := mono.Now().Add(-x.Store.redis.MaxAge() - time.Millisecond)
				got, joined := x.openDuring(t, asked{before, began}, failure)
				if shared = joined; shared && (got.Epoch == nil || got.Epoch.ID == before.Epoch.ID) {
					t.Errorf("%+v, want the epoch after the Clear", got)
				}
			}
		})
	}
}

// A read that failed in time says that the server doesn't answer: the last position is used for a while.
func TestReadThatFailedInTime(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client(t)
	x := New(NewStore(conntest.Open(t, client), "test", func([]redisconn.Reply) {}), false)
	for shared := false; !shared; {
		before, err := x.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got coherence.Position
		if got, shared = x.openDuring(t, asked{coherence.Position{}, mono.Now()}, context.DeadlineExceeded); shared && got.Epoch.ID != before.Epoch.ID {
			t.Errorf("%+v, want %+v", got, before)
		}
	}
}

// openDuring opens the index while a read is under way that will have that outcome, and reports whether it joined the read.
func (x *Index) openDuring(t *testing.T, a asked, failure error) (s coherence.Position, joined bool) {
	began, end := make(chan struct{}), make(chan struct{})
	read := x.asking.DoChan("", func() (any, error) {
		close(began)
		<-end
		return a, failure
	})
	<-began
	opened := make(chan error)
	go func() {
		var err error
		s, err = x.open(t.Context())
		opened <- err
	}()
	runtime.Gosched()
	close(end)
	if err := <-opened; err != nil {
		t.Error(err)
	}
	return s, (<-read).Shared
}
