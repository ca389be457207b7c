package inspect_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/inspect"
)

func TestRecordsOnlyWhileAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l inspect.EventLog
		l.Missed("a", "too early")
		if l.On() || len(l.All()) > 0 {
			t.Error("events were recorded before anybody asked")
		}
		l.Missed("a", "nothing")
		l.Loaded("a", time.Second)
		l.Failed("b", errors.New("broken"))
		all := l.All()
		if len(all) != 3 || all[0].Kind != inspection.Failed || all[0].Reason != "broken" || all[1].Took != time.Second || all[2].Reason != "nothing" || !all[2].At.Equal(time.Now()) {
			t.Errorf("%+v", all)
		}
		if of := l.Of("a"); len(of) != 2 || of[0].Kind != inspection.Loaded {
			t.Errorf("of a: %+v", of)
		}
		time.Sleep(10*time.Minute - time.Nanosecond)
		if !l.On() || len(l.Of("a")) != 2 {
			t.Error("recording has ended too early")
		}
		time.Sleep(time.Nanosecond)
		l.Missed("a", "too late")
		if l.On() || len(l.Of("a")) > 0 || len(l.All()) > 0 {
			t.Error("recording hasn't ended")
		}
	})
}

func TestKeepsTheLast(t *testing.T) {
	var l inspect.EventLog
	l.All()
	for i := range 3000 {
		l.Missed(fmt.Sprint(i), "")
	}
	l.Missed(strings.Repeat("k", 4<<10+1), "too long")
	all := l.All()
	if len(all) != 1024 || all[0].Key != "2999" || all[1023].Key != "1976" {
		t.Errorf("%d events, from %s to %s", len(all), all[0].Key, all[len(all)-1].Key)
	}
}

// Events that end the recording, and calls that extend it, may be concurrent.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l inspect.EventLog
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					l.Missed("k", "")
					l.Of("k")
					time.Sleep(6 * time.Minute)
					l.All()
				}
			})
			all.Go(func() {
				for range 100 {
					l.Missed("k", "")
					time.Sleep(11 * time.Minute)
				}
			})
		}
		all.Wait()
	})
}
