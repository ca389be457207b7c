package invalidation

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/observe"
	"github.com/tiercache/tiercache/internal/redistest"
)

type replied struct {
	beginning string
	err       error
}

// asks asks a stream, and waits for the reply.
func asks(t *testing.T, s *stream, key string, length int) replied {
	t.Helper()
	replies := make(chan replied, 1)
	observe.Until(t, "there is a connection", func() bool {
		return s.ask(key, length, func(beginning string, err error) { replies <- replied{beginning, err} })
	})
	return <-replies
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Tracking, TrackingKeys} {
		server := redistest.Start(t)
		f := openFixture(t, server.Client(t), settings{Invalidation: mode, Heartbeat: 20 * time.Millisecond, Timeout: 5 * time.Second})
		f.waitValid(t)
		server.Do("SET", "tc:c:k", "a value")
		server.Do("LPUSH", "tc:c:list", "e")
		for range 50 { // PINGs and canaries go on meanwhile
			if r := asks(t, f.only, "tc:c:k", 3); r.err != nil || r.beginning != "a v" {
				t.Errorf("%+v", r)
			}
			if r := asks(t, f.only, "tc:c:missing", 3); r.err != nil || r.beginning != "" {
				t.Errorf("a missing key: %+v", r)
			}
			if _, refused := errors.AsType[redis.Error](asks(t, f.only, "tc:c:list", 3).err); !refused {
				t.Error("a list has a beginning")
			}
		}
		if w := f.log.Count("level=WARN"); w > 0 {
			t.Errorf("a refused question ended the connection:\n%s", f.log)
		}
	}
}

// However a connection ends, each question gets one reply, and there are never too many.
func TestQuestionsOfALostConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := openFixture(t, server.Client(t), settings{Invalidation: TrackingKeys, Heartbeat: 20 * time.Millisecond, Timeout: 5 * time.Second})
	f.waitValid(t)
	replies := make(chan replied, 3*maxQuestions)
	for round := range 3 {
		asked := 0
		server.Freeze()
		for f.only.ask(fmt.Sprint("tc:c:", asked), 3, func(beginning string, err error) { replies <- replied{beginning, err} }) {
			asked++
		}
		if asked > maxQuestions || asked < maxQuestions/2 {
			t.Errorf("round %d: %d questions", round, asked)
		}
		f.only.conn.Load().end(errors.New("a test ends it"))
		server.Thaw()
		for n := range asked {
			select {
			case <-replies:
			case <-time.After(time.Minute):
				t.Fatalf("round %d: %d of %d replies", round, n, asked)
			}
		}
		f.waitValid(t)
	}
	f.Streams.Close()
	if f.only.ask("tc:c:k", 3, func(string, error) {}) {
		t.Error("it can be asked after Close")
	}
}
