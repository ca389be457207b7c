package invalidation

import (
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/internal/mono"
)

func TestWatchdog(t *testing.T) {
	const beat, maxAge = time.Second, 3 * time.Second
	for name, test := range map[string]struct {
		each  func(w *watchdog, i int) // before each tick
		ticks int                      // until the connection is given up; 0: never
		want  error
	}{
		"nothing comes": {func(w *watchdog, _ int) { w.nextPing() }, 7, errUnanswered},
		"all is well": {func(w *watchdog, i int) {
			w.silent.Store(0)
			w.answered(w.nextPing())
			w.executed(mono.Instant(i))
			w.reported(mono.Instant(i))
		}, 0, nil},
		"canaries are reported before Redis says it has taken them": {func(w *watchdog, i int) {
			w.silent.Store(0)
			w.answered(w.nextPing())
			w.reported(mono.Instant(i))
			w.executed(mono.Instant(i))
		}, 0, nil},
		"no canary is reported": {func(w *watchdog, i int) {
			w.silent.Store(0)
			w.answered(w.nextPing())
			w.executed(mono.Instant(i))
		}, 4, errLeftBehind},
		"canaries aren't taken": {func(w *watchdog, _ int) {
			w.silent.Store(0)
			w.answered(w.nextPing())
		}, 0, nil},
		"so much comes that canaries and answers are late": {func(w *watchdog, i int) {
			w.silent.Store(0)
			w.nextPing()
			w.executed(mono.Instant(i))
		}, 0, nil},
		"every other canary is lost": {func(w *watchdog, i int) {
			w.silent.Store(0)
			w.answered(w.nextPing())
			w.executed(mono.Instant(i))
			if i%2 == 0 {
				w.reported(mono.Instant(i))
			}
		}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var w watchdog
			for i := 1; i <= 100; i++ {
				test.each(&w, i)
				if err := w.tick(beat, maxAge); err != nil {
					if err != test.want || i != test.ticks {
						t.Errorf("given up at tick %d: %v; want %d: %v", i, err, test.ticks, test.want)
					}
					return
				}
			}
			if test.want != nil {
				t.Error("not given up")
			}
		})
	}
}
