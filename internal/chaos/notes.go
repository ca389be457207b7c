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

// note is a time in which one of a worker's caches counted errors of Redis, didn't ask it, or had queued writes, and so
// may have loaded without a lease or voided one; or in which it counted unverified values that it served. On a busy machine that
// happens without a fault, too. Notes are written at once, since workers are killed.
type note struct {
	history.Window
	Unverified bool
}

const notesSuffix = ".notes"

// watch reads the caches' counters until ctx ends, and writes notes.
func (w *worker) watch(ctx context.Context) {
	file, err := os.OpenFile(w.Journal+notesSuffix, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // without notes the parent allows for nothing
	}
	defer file.Close()
	const interval = 20 * time.Millisecond
	before := make([]tiered.Stats, len(w.instances))
	// What a cache counted between two readings happened between the beginning of the first and the end of the second: a busy
	// machine may delay the worker in between.
	for from := history.Clock(); ctx.Err() == nil; pause(ctx, interval) {
		began := history.Clock()
		for i, m := range w.instances {
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

// notes returns the notes of all workers.
func (ws *workerSet) notes() (all []note, err error) {
	for _, s := range ws.slots {
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
				if json.Unmarshal(line, &n) == nil { // it fails for a line during which the worker was killed
					all = append(all, n)
				}
			}
		}
	}
	return all, nil
}
