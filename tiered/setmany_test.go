package tiered_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

var errUnencodable = errors.New("it can't be encoded")

// fussy is a value that may refuse to be encoded.
type fussy string

func (v fussy) MarshalJSON() ([]byte, error) {
	if v == "bad" {
		return nil, errUnencodable
	}
	return json.Marshal(string(v))
}

// A value of a SetMany that can't be encoded doesn't keep the others from being stored, and its key is left alone.
func TestSetManyOfAValueThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := newCache(t, tiered.Options[fussy]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	b := newCache(t, tiered.Options[fussy]{Redis: newRedis(t, s, tiered.RedisOptions{})})
	ctx := t.Context()
	if err := a.Set(ctx, "two", "old"); err != nil {
		t.Fatal(err)
	}
	err := a.SetMany(ctx, map[string]fussy{"one": "1", "two": "bad", "three": "3"}, "tag")
	if !errors.Is(err, errUnencodable) || !strings.Contains(err.Error(), `"two"`) || strings.Contains(err.Error(), "one") || errors.Is(err, tiered.ErrQueued) {
		t.Error(err)
	}
	if st := a.Stats(); st.CodecErrors != 1 || st.Queued != 0 {
		t.Errorf("%+v", st)
	}
	for _, c := range []*tiered.Cache[fussy]{a, b} {
		waitFor(t, func() bool { // b hears of the epoch that a began
			got, err := c.GetMany(ctx, "one", "two", "three")
			return err == nil && fmt.Sprint(got) == "map[one:1 three:3 two:old]"
		})
	}
	if err := a.Set(ctx, "two", "bad"); !errors.Is(err, errUnencodable) || !strings.Contains(err.Error(), `"two"`) {
		t.Error(err)
	}
	if v, err := a.Get(ctx, "two"); v != "old" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// What can't be encoded isn't queued, and the error is one of both.
func TestQueuedSetManyOfAValueThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var queued [][]string
	a := newCache(t, tiered.Options[fussy]{
		Redis: newRedis(t, s, tiered.RedisOptions{Timeout: 100 * time.Millisecond}),
		Trace: &tiered.Trace{Queued: func(keys []string, _ error) {
			slices.Sort(keys)
			queued = append(queued, keys)
		}},
	})
	if err := a.Set(t.Context(), "two", "old"); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	defer s.Thaw()
	err := a.SetMany(t.Context(), map[string]fussy{"one": "1", "two": "bad", "three": "3"})
	if !errors.Is(err, errUnencodable) || !errors.Is(err, tiered.ErrQueued) {
		t.Error(err)
	}
	if st := a.Stats(); st.Queued != 2 || st.CodecErrors != 1 {
		t.Errorf("%+v", st)
	}
	if len(queued) != 1 || !slices.Equal(queued[0], []string{"one", "three"}) {
		t.Errorf("queued: %q", queued)
	}
	if err := a.SetMany(t.Context(), map[string]fussy{"two": "bad", "four": "bad"}); !errors.Is(err, errUnencodable) || errors.Is(err, tiered.ErrQueued) {
		t.Error(err)
	}
	if st := a.Stats(); st.Queued != 2 || len(queued) != 1 {
		t.Errorf("%+v, %q", st, queued)
	}
}

// However many values can't be encoded, the error is short.
func TestSetManyOfValuesThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiered.Options[fussy]{Redis: newRedis(t, redistest.Start(t), tiered.RedisOptions{})})
	values := map[string]fussy{"good": "v"}
	for i := range 5000 {
		values[fmt.Sprintf("%05d", i)] = "bad"
	}
	err := c.SetMany(t.Context(), values)
	if !errors.Is(err, errUnencodable) || !strings.Contains(err.Error(), `"00000"`) || !strings.Contains(err.Error(), "4992 more") || len(err.Error()) > 2000 {
		t.Error(err)
	}
	if v, err := c.Get(t.Context(), "good"); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if st := c.Stats(); st.CodecErrors != 5000 {
		t.Errorf("%+v", st)
	}
}

// Without Redis there is nothing to encode.
func TestSetManyWithoutRedisEncodesNothing(t *testing.T) {
	c := newCache(t, tiered.Options[fussy]{})
	if err := c.SetMany(t.Context(), map[string]fussy{"one": "1", "two": "bad"}); err != nil {
		t.Error(err)
	}
	if got, err := c.GetMany(t.Context(), "one", "two"); len(got) != 2 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
