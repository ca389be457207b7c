//go:build !windows

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

// note is of what happens on a busy machine even if no fault is under way, or after one: a time in which one of a worker's
// caches counted errors of Redis, spared it, or had writes queued, and so may have loaded without a lease or voided one, or said
// that it served what it couldn't verify. Notes are written at once, since workers are killed.
type note struct {
	history.Window
	Unverified bool
}

const notesSuffix = ".notes"

// watch writes notes of what the caches counted when.
func (w *worker) watch(ctx context.Context) {
	file, err := os.OpenFile(w.Journal+notesSuffix, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // the parent then excuses nothing
	}
	defer file.Close()
	const interval = 20 * time.Millisecond
	before := make([]tiered.Stats, len(w.members))
	// What a cache counted between two looks lies between the beginning of one and the end of the other: a busy machine may
	// keep the worker waiting in between.
	for from := history.Clock(); ctx.Err() == nil; pause(ctx, interval) {
		began := history.Clock()
		for i, m := range w.members {
			s := m.cache.Stats()
			window := history.Window{Process: m.process, Start: from, End: history.Clock()}
			if s.Queued > 0 || s.RedisErrors+s.Spared+s.Replayed != before[i].RedisErrors+before[i].Spared+before[i].Replayed {
				_ = json.NewEncoder(file).Encode(note{Window: window})
			}
			if s.Unverified != before[i].Unverified {
				_ = json.NewEncoder(file).Encode(note{window, true})
			}
			before[i] = s
		}
		from = began
	}
}

// notes returns what all workers noted.
func (f *fleet) notes() (all []note, err error) {
	for _, s := range f.slots {
		for _, path := range s.journals {
			text, err := os.ReadFile(path + notesSuffix)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for line := range bytes.Lines(text) {
				var n note
				if json.Unmarshal(line, &n) == nil { // else it was killed meanwhile
					all = append(all, n)
				}
			}
		}
	}
	return all, nil
}
