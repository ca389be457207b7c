package inspect

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered/inspection"
	"github.com/tiercache/tiercache/tiered/internal/record"
)

// Each case is what was found of a key, with the outcome and a part of the reason.
func TestOutcome(t *testing.T) {
	broken := errors.New("broken")
	copyWith := func(problem string) *inspection.Local {
		return &inspection.Local{Copy: inspection.Copy{Problem: problem}}
	}
	ownFrame := func(problem string) *inspection.Remote {
		return &inspection.Remote{Exists: true, Frames: []inspection.Frame{{Own: false}, {Own: true, Copy: inspection.Copy{Problem: problem}}}}
	}
	nothing := func() *inspection.Remote { return new(inspection.Remote) }
	failed := []inspection.Event{{Kind: inspection.Missed}, {Kind: inspection.Failed, Reason: "no rows", At: time.Now().Add(-time.Hour - time.Millisecond)}}
	for name, c := range map[string]struct {
		key  inspection.Key
		read read
		want inspection.Outcome
		says string
	}{
		"fresh copy":               {inspection.Key{Local: copyWith("")}, read{served: true, local: record.Good}, inspection.Hit, "This process has a fresh copy."},
		"copy due for a refresh":   {inspection.Key{Local: copyWith("")}, read{served: true, local: record.RefreshDue}, inspection.Hit, "past RefreshAfter"},
		"stale copy":               {inspection.Key{Local: copyWith("old")}, read{served: true, local: record.WhileRevalidate}, inspection.Stale, "replaces it: old."},
		"stale since a load fails": {inspection.Key{Local: copyWith("old"), Events: failed}, read{served: true, local: record.WhileRevalidate}, inspection.Stale, "The last load failed 1h0m"},
		"failure":                  {inspection.Key{Failure: broken, RetryIn: time.Second, Remote: ownFrame("expired")}, read{local: record.IfError}, inspection.Stale, "(broken), and the next one begins in 1s at the earliest. Until then reads get the stale value (StaleIfError). Why it is stale: expired."},
		"failure, too old":         {inspection.Key{Failure: broken, Local: copyWith("old")}, read{}, inspection.Stale, "Until then reads get that error."},
		"failure, nothing stored":  {inspection.Key{Failure: broken, Remote: nothing(), Local: copyWith("old")}, read{local: record.IfError}, inspection.Stale, "Why it is stale: old."},
		"loading":                  {inspection.Key{Loading: true}, read{}, inspection.Wait, "This process is loading the key"},
		"loading, with a fallback": {inspection.Key{Loading: true}, read{local: record.IfError}, inspection.Wait, "StaleIfError"},
		"loading behind":           {inspection.Key{Loading: true, Remote: nothing()}, read{remote: record.WhileRevalidate}, inspection.Stale, "Redis has a stale value"},
		"in-process, nothing":      {inspection.Key{}, read{}, inspection.Miss, "there is no copy in its memory"},
		"in-process, unusable":     {inspection.Key{Local: copyWith("old")}, read{}, inspection.Miss, "The loader is called: old."},
		"queued":                   {inspection.Key{Queued: true, Remote: nothing()}, read{remote: record.Good}, inspection.Miss, "still queued"},
		"Redis down, no copy":      {inspection.Key{Remote: &inspection.Remote{Err: broken}}, read{}, inspection.Miss, "(broken), and this process has no copy"},
		"Redis down, fresh copy":   {inspection.Key{Local: copyWith("lost"), Remote: &inspection.Remote{Err: broken}}, read{local: record.Good}, inspection.Hit, "unverified"},
		"Redis down, stale copy":   {inspection.Key{Local: copyWith("lost"), Remote: &inspection.Remote{Err: broken}}, read{local: record.WhileRevalidate}, inspection.Stale, "unverified"},
		"Redis down, fallback":     {inspection.Key{Local: copyWith("old"), Remote: &inspection.Remote{Err: broken}}, read{local: record.IfError}, inspection.Miss, "StaleIfError"},
		"Redis down, strict":       {inspection.Key{Local: copyWith("lost"), Remote: &inspection.Remote{Err: broken}}, read{local: record.Good, strict: true}, inspection.Miss, "lost"},
		"fresh in Redis":           {inspection.Key{Remote: ownFrame("")}, read{remote: record.Good}, inspection.Hit, "Redis has a fresh value"},
		"due in Redis":             {inspection.Key{Remote: ownFrame("")}, read{remote: record.RefreshDue}, inspection.Hit, "past RefreshAfter"},
		"stale in Redis":           {inspection.Key{Remote: ownFrame("expired")}, read{remote: record.WhileRevalidate}, inspection.Stale, "replaces it: expired."},
		"lease":                    {inspection.Key{Remote: &inspection.Remote{Exists: true, Lease: &inspection.Lease{EndsIn: 4 * time.Second}}}, read{}, inspection.Wait, "ends in 4s"},
		"fallback in Redis":        {inspection.Key{Remote: ownFrame("expired")}, read{remote: record.IfError}, inspection.Miss, "in Redis, expired; in this process, there is no copy"},
		"nothing in Redis":         {inspection.Key{Remote: nothing(), Events: failed}, read{}, inspection.Miss, "The last load failed"},
		"damaged":                  {inspection.Key{Remote: &inspection.Remote{Exists: true, Damaged: true}}, read{}, inspection.Miss, "damaged"},
		"foreign":                  {inspection.Key{Remote: &inspection.Remote{Exists: true, Foreign: &inspection.Copy{Problem: "it is no JSON"}}}, read{}, inspection.Miss, "another program wrote a value, and it is no JSON"},
		"other releases":           {inspection.Key{Remote: &inspection.Remote{Exists: true, Frames: []inspection.Frame{{}}}}, read{}, inspection.Miss, "values of other releases"},
	} {
		c.read.key = &c.key
		if got, why := c.read.outcome(); got != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s: %v, want %v with %q: %s", name, got, c.want, c.says, why)
		}
	}
}

// A failure before a load that succeeded isn't mentioned.
func TestFailureBeforeALoad(t *testing.T) {
	r := read{key: &inspection.Key{Events: []inspection.Event{{Kind: inspection.Missed}, {Kind: inspection.Loaded}, {Kind: inspection.Failed, Reason: "no rows"}}}}
	if why := r.failed(); why != "" {
		t.Error(why)
	}
}

func TestStaleness(t *testing.T) {
	for want, y := range map[string]inspection.Copy{
		"its TTL was over 2s ago: it is 12s old, and was fresh for 10s":                    {Age: 12 * time.Second, FreshFor: -2 * time.Second},
		"it was expired before its time (Expire, ExpireTags or ExpireAll); it is 1m0s old": {Age: time.Minute + 300*time.Millisecond, FreshFor: time.Hour, Expired: true},
	} {
		if got := staleness(&y); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		1499 * time.Microsecond: "1ms", -1234 * time.Millisecond: "-1.2s", 12345 * time.Millisecond: "12s", 0: "0s",
	} {
		if got := rounded(d).String(); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestPageOf(t *testing.T) {
	names := func(add func(string)) {
		for _, name := range []string{"c", "a1", "a3", "a2", "b"} {
			add(name)
		}
	}
	p, err := pageOf("a", "", 2, names)
	if err != nil || strings.Join(p.Names, " ") != "a1 a2" || p.Next != "a2" || p.Examined != 5 {
		t.Errorf("the first page: %+v, %v", p, err)
	}
	if p, err = pageOf("a", p.Next, 2, names); err != nil || strings.Join(p.Names, " ") != "a3" || p.Next != "" {
		t.Errorf("the last page: %+v, %v", p, err)
	}
	many := func(add func(string)) {
		for i := range 1000 {
			add(fmt.Sprintf("k%03d", i*7%1000))
		}
	}
	for cursor, i := "", 0; i < 1000; i += 50 {
		p, err := pageOf("k", cursor, 50, many)
		if err != nil || len(p.Names) != 50 || p.Names[0] != fmt.Sprintf("k%03d", i) || p.Names[49] != fmt.Sprintf("k%03d", i+49) || (p.Next == "") != (i == 950) {
			t.Errorf("the page from %d on: %+v, %v", i, p, err)
		}
		cursor = p.Next
	}
	for _, n := range []int{0, -1, maxPage + 1} {
		if _, err := pageOf("", "", n, names); err == nil {
			t.Errorf("a page of %d", n)
		}
	}
}
