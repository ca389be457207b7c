package aftercommit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

var (
	// ErrCommitted is wrapped by the error of a Commit that has committed the transaction, but couldn't invalidate everything, most
	// likely because Redis couldn't be written. Such invalidations are queued ([tiered.ErrQueued]): reads in this process get nothing
	// older, and what is held stays held until the hold ends by itself. The transaction must not be repeated.
	ErrCommitted = errors.New("aftercommit: the transaction was committed, but not everything was invalidated")

	// ErrUnknown is wrapped by the error of a Commit whose outcome isn't known, such as one whose connection was lost. What is held
	// stays held until the hold ends by itself, so that the caches have nothing older in either case.
	ErrUnknown = errors.New("aftercommit: it isn't known whether the transaction was committed")

	errAgain = errors.New("aftercommit: Commit has already been called")
	errSlow  = errors.New("aftercommit: not committed: placing the holds took longer than they last")
	errLate  = errors.New("aftercommit: changes were added after Commit had begun")
)

const defaultHold = 30 * time.Second

// Cache is a cache of any type. Every *[tiered.Cache] is one. With Options.Unheld an error of Hold that wraps [tiered.ErrNotHeld] or
// [tiered.ErrClosed] doesn't keep a transaction from being committed; any other does.
type Cache interface {
	Hold(ctx context.Context, d time.Duration, keys, tags []string) (*tiered.Hold, error)
	Delete(ctx context.Context, keys ...string) error
	InvalidateTags(ctx context.Context, tags ...string) error
}

// Options configures Changes.
type Options struct {
	// Hold is for how long keys and tags are held if nobody ends that: if the process ends during the commit, or the outcome of the
	// commit isn't known. It must be longer than the database may take for a COMMIT, also after its client is gone. 0: 30 seconds.
	// If placing the holds took longer than that, Commit returns an error and doesn't commit.
	Hold time.Duration
	// Unheld commits the transaction even if Redis can't hold its keys and tags. Then loads that read the old rows may be stored, until
	// the invalidation after the commit removes them, which is queued while Redis can't be written. If the process ends before that,
	// they stay until their TTL is over. false: Commit returns the error and doesn't commit. An invalid key, tag or Hold keeps a
	// transaction from being committed in either case.
	Unheld bool
}

// Changes are the changes of one transaction. The zero Changes is empty and ready to use. Its methods may be called from any number of
// goroutines.
type Changes struct {
	Options Options

	mu     sync.Mutex
	begun  bool // Commit was called
	late   bool // changes were added after that
	caches []*change
}

// change is what a transaction changes in one cache.
type change struct {
	cache      Cache
	keys, tags []string
	hold       *tiered.Hold // nil: nothing is held
}

// Delete adds keys that Commit deletes from the cache. Keys that are added when Commit has begun aren't deleted, and Commit returns an
// error.
func (ch *Changes) Delete(c Cache, keys ...string) {
	ch.add(c, func(one *change) { one.keys = appendClones(one.keys, keys) })
}

// InvalidateTags adds tags that Commit invalidates in the cache, like Delete.
func (ch *Changes) InvalidateTags(c Cache, tags ...string) {
	ch.add(c, func(one *change) { one.tags = appendClones(one.tags, tags) })
}

// appendClones appends copies, because callers may reuse the memory of keys and tags.
func appendClones(to, names []string) []string {
	for _, name := range names {
		to = append(to, strings.Clone(name))
	}
	return to
}

func (ch *Changes) add(c Cache, to func(*change)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.begun {
		ch.late = true
		return
	}
	for _, one := range ch.caches {
		if reflect.ValueOf(c).Comparable() && one.cache == c { // else they are changes of two caches
			to(one)
			return
		}
	}
	one := &change{cache: c}
	to(one)
	ch.caches = append(ch.caches, one)
}

// Commit holds the keys and tags, calls commit, and then deletes the keys and invalidates the tags.
//
//   - It returns nil if the transaction was committed and everything was invalidated.
//   - The error wraps [ErrCommitted] if commit returned nil and Redis didn't take all invalidations.
//   - The error wraps [ErrUnknown] and commit's error if commit returned one, unless that is of [RolledBack].
//   - With any other error the transaction wasn't committed: Redis couldn't hold everything, or a key, a tag or an option is invalid, and
//     commit wasn't called, or its error is of RolledBack. The caller must roll back.
//
// ctx bounds the holds. The invalidation takes place even if ctx has ended. If commit panics, the outcome isn't known. Commit can be
// called once.
func (ch *Changes) Commit(ctx context.Context, commit func() error) error {
	if err := ch.begin(); err != nil {
		return err
	}
	began, lasts := time.Now(), cmp.Or(ch.Options.Hold, defaultHold)
	if err := ch.holdAll(ctx, lasts); err != nil {
		return fmt.Errorf("aftercommit: not committed: %w", err)
	}
	if time.Since(began) >= lasts && !ch.Options.Unheld {
		ch.releaseAll(context.WithoutCancel(ctx))
		return errSlow
	}
	err := commit()
	after := context.WithoutCancel(ctx)
	if _, is := errors.AsType[*rolledBack](err); is {
		ch.releaseAll(after)
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err) // the holds end by themselves
	}
	if err = ch.invalidateAll(after); err != nil {
		return fmt.Errorf("%w: %w", ErrCommitted, err)
	}
	return nil
}

// RolledBack returns an error for Commit's function to return if the transaction was certainly rolled back because of err, as by a
// violated constraint. It wraps err. Then the holds end at once.
func RolledBack(err error) error { return &rolledBack{err} }

type rolledBack struct{ cause error }

func (r *rolledBack) Error() string { return "aftercommit: rolled back: " + r.cause.Error() }

func (r *rolledBack) Unwrap() error { return r.cause }

// begin records that Commit was called.
func (ch *Changes) begin() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.begun {
		return errAgain
	}
	ch.begun = true
	return nil
}

// holdAll holds everything, or with Options.Unheld what Redis can hold. It holds nothing if it returns an error.
func (ch *Changes) holdAll(ctx context.Context, lasts time.Duration) error {
	err := ch.each(func(one *change) (err error) {
		one.hold, err = one.cache.Hold(ctx, lasts, one.keys, one.tags)
		if ch.Options.Unheld && (errors.Is(err, tiered.ErrNotHeld) || errors.Is(err, tiered.ErrClosed)) {
			return nil
		}
		return err
	})
	if err != nil {
		ch.releaseAll(context.WithoutCancel(ctx))
	}
	return err
}

// releaseAll ends the holds after a rollback. Those that can't be released end by themselves.
func (ch *Changes) releaseAll(ctx context.Context) {
	_ = ch.each(func(one *change) error {
		if one.hold == nil {
			return nil
		}
		return one.hold.Release(ctx)
	})
}

// invalidateAll invalidates everything and ends the holds.
func (ch *Changes) invalidateAll(ctx context.Context) error {
	err := ch.each(func(one *change) error {
		if one.hold != nil {
			return one.hold.Invalidate(ctx)
		}
		return errors.Join(one.cache.Delete(ctx, one.keys...), one.cache.InvalidateTags(ctx, one.tags...))
	})
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.late {
		err = errors.Join(err, errLate)
	}
	return err
}

// each calls f for each cache at the same time, and returns the errors.
func (ch *Changes) each(f func(*change) error) error {
	errs := make([]error, len(ch.caches))
	var others sync.WaitGroup
	for i, one := range ch.caches {
		if i > 0 {
			others.Go(func() { errs[i] = f(one) })
		}
	}
	if len(ch.caches) > 0 {
		errs[0] = f(ch.caches[0])
	}
	others.Wait()
	return errors.Join(errs...)
}
