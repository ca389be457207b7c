package doctor

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/rights"
	"github.com/tiercache/tiercache/tiered"
)

// A mode is a kind of invalidation, which tiered.NewRedis checks.
type mode struct {
	name         string
	invalidation tiered.Invalidation
}

var modes = []mode{{commands, tiered.None}, {tracking, tiered.Tracking}, {byKey, tiered.TrackingKeys}, {pubSub, tiered.PubSub}}

// outcome is that of tiered.NewRedis in a mode, and of a while with the Redis that it returned.
type outcome struct {
	refused []string // what NewRedis names as missing
	down    error    // the last Status; nil: all is well
}

func (o outcome) works() bool { return len(o.refused) == 0 && o.down == nil }

// suits reports whether the mode is one to use: that writes are refused for lack of memory is no fault of the mode.
func (o outcome) suits() bool {
	return len(o.refused) == 0 && (o.down == nil || strings.Contains(o.down.Error(), "OOM "))
}

// arriveWithin is how long invalidations may take to be proved.
const arriveWithin = 1500 * time.Millisecond

// examineLibrary has tiered.NewRedis check the servers in each mode: it knows all that the caches need.
func (e *examination) examineLibrary(ctx context.Context) {
	var all sync.WaitGroup
	for _, m := range modes {
		all.Go(func() {
			out := make(chan outcome, 1)
			go func() { out <- e.tryMode(ctx, m) }() // NewRedis doesn't end with ctx, but soon
			select {
			case o := <-out:
				e.mu.Lock()
				defer e.mu.Unlock()
				e.modes[m.name] = o
			case <-ctx.Done():
				e.mu.Lock()
				defer e.mu.Unlock()
				e.modes[m.name] = outcome{down: ctx.Err()}
			}
		})
	}
	all.Wait()
}

// foundModes reports the outcomes of all modes. The findings about deliveries are there already.
func (e *examination) foundModes() {
	caches := e.modes[commands]
	e.foundMode(commands, caches, rights.Caches(e.Prefix))
	e.foundMode(tracking, e.modes[tracking].beside(caches), rights.Tracking(e.Prefix))
	e.foundMode(byKey, e.modes[byKey].beside(caches), rights.Tracking(e.Prefix))
	e.foundMode(pubSub, e.modes[pubSub].beside(caches), rights.PubSub(e.Prefix))
}

// beside returns the outcome without what the caches lack in every mode. A canary needs what they need.
func (o outcome) beside(caches outcome) outcome {
	if caches.works() {
		return o
	}
	o.down = nil
	o.refused = slices.DeleteFunc(slices.Clone(o.refused), func(missing string) bool {
		return slices.Contains(caches.refused, missing) || strings.Contains(missing, "canary: ")
	})
	return o
}

// tryMode makes a Redis, and waits until it reports that all is well, but not for long.
func (e *examination) tryMode(ctx context.Context, m mode) outcome {
	r, err := tiered.NewRedis(e.client, tiered.RedisOptions{
		Prefix:       e.Prefix,
		Invalidation: m.invalidation,
		Timeout:      e.fitting(),
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return outcome{refused: leaves(err)}
	}
	defer r.Close()
	ctx, stop := context.WithTimeout(ctx, arriveWithin)
	defer stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := r.Status()
		if err == nil {
			return outcome{}
		}
		select {
		case <-poll.C: // Status sends nothing
		case <-ctx.Done():
			return outcome{down: err}
		}
	}
}

// foundMode reports the outcome of a mode, unless a delivery in that mode says it already.
func (e *examination) foundMode(check string, o outcome, needed []string) {
	f := Finding{Check: check, Level: Warning}
	switch {
	case len(o.refused) > 0:
		f.Text, f.Fix = e.missing(o.refused, needed)
	case slices.ContainsFunc(e.report.Findings, func(f Finding) bool { return f.Check == check && (f.Level == Warning || o.down == nil) }):
		return
	case o.down != nil && check == byKey && e.mute():
		f.Text = "the changes aren't reported, as with Tracking"
	case o.down != nil:
		f.Text = e.brief(reason(o.down))
	case check == commands:
		f.Level, f.Text = OK, "tiered.NewRedis finds all that the caches need"
	case check == byKey && e.modes[commands].works(): // it was tried by the library alone
		f.Level, f.Text = OK, "the changes of the keys that a process has are reported to it"
	default:
		f.Level, f.Text = Skipped, "the caches themselves don't work"
	}
	if f.Level == Warning && check == commands {
		f.Level = Failure // without these there is no cache
	}
	e.add(f)
}

// missing says what NewRedis misses, and what to do about it.
func (e *examination) missing(refused, needed []string) (text, fix string) {
	var texts []string
	for _, r := range refused {
		what, want, _ := strings.Cut(e.brief(r), ": want ")
		texts, fix = append(texts, strings.TrimSpace(what)), "use "+want
	}
	text = strings.Join(texts, "; ")
	switch {
	case strings.Contains(text, "NOPERM"):
		fix = "ACL SETUSER " + e.user() + " " + strings.Join(needed, " ")
	case fix == "use ":
		fix = ""
	}
	return text, fix
}

// brief returns the first line of an error's text, without what is the same in all.
func (e *examination) brief(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, " script: ")
	if before, after, found := strings.Cut(text, ", with args beginning with: "); found {
		_, want, _ := strings.Cut(after, ": want ")
		text = before + ": want " + want
	}
	text = strings.TrimPrefix(text, "tiered: ")
	if len(e.servers) == 1 {
		text = strings.TrimPrefix(text, "redis "+e.servers[0].Options().Addr+": ")
	}
	return text
}

func (e *examination) user() string {
	if len(e.servers) > 0 && e.servers[0].Options().Username != "" {
		return e.servers[0].Options().Username
	}
	return "default"
}

// leaves returns the texts of the errors that err joins, each once, without what says which server it is.
func leaves(err error) (texts []string) {
	add := func(found []string) {
		for _, text := range found {
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	switch joined := err.(type) { //nolint:errorlint // it looks at one level at a time
	case interface{ Unwrap() []error }:
		for _, one := range joined.Unwrap() {
			add(leaves(one))
		}
	case interface{ Unwrap() error }:
		if inner := joined.Unwrap(); inner != nil && joins(inner) {
			add(leaves(inner))
		} else {
			add([]string{err.Error()})
		}
	default:
		add([]string{err.Error()})
	}
	return texts
}

// joins reports whether the error, or one that it wraps, joins others.
func joins(err error) bool {
	var joined interface {
		error
		Unwrap() []error
	}
	return errors.As(err, &joined)
}
